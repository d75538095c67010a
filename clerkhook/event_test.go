package clerkhook

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/clerkorg/clerkorg-go"
)

func TestInvitationEvents(t *testing.T) {
	t.Parallel()
	created := verified(t, "invitation_created")
	assert.Equal(t, "msg_1", created.ID)
	assert.Equal(t, InvitationCreated, created.Type)
	assert.Equal(t, "ins_1", created.InstanceID)
	assert.Equal(t, time.Unix(1779008000, 0).UTC(), created.Timestamp, "in seconds")
	invitation, ok := created.Data.(*Invitation)
	require.True(t, ok)
	assert.Equal(t, "orginv_1", invitation.ID)
	assert.Equal(t, "ada@example.com", invitation.EmailAddress)
	assert.Equal(t, clerkorg.RoleMember, invitation.Role)
	assert.Equal(t, "org_1", invitation.OrganizationID)
	assert.Equal(t, clerkorg.InvitationPending, invitation.Status)
	assert.Equal(t, `{"big": 9007199254740993}`, string(invitation.PublicMetadata))
	assert.Equal(t, time.UnixMilli(1781600000123).UTC(), invitation.ExpiresAt.Time)
	assert.Contains(t, invitation.URL, "secret-ticket")
	assert.Empty(t, invitation.InviterID)
	assert.Empty(t, invitation.UserID)

	accepted := verified(t, "invitation_accepted")
	assert.Equal(t, time.UnixMilli(1779009000456).UTC(), accepted.Timestamp, "in milliseconds")
	invitation, ok = accepted.Data.(*Invitation)
	require.True(t, ok)
	assert.Equal(t, "user_8", invitation.UserID)
	assert.Equal(t, clerkorg.InvitationAccepted, invitation.Status)
	assert.Equal(t, "Babbage", invitation.PublicInviterData.LastName)
	assert.True(t, invitation.ExpiresAt.IsZero())
	assert.Empty(t, invitation.URL)
}

func TestOtherEvents(t *testing.T) {
	t.Parallel()
	membership, ok := verified(t, "membership_created").Data.(*clerkorg.OrganizationMembership)
	require.True(t, ok)
	assert.Equal(t, "orgmem_1", membership.ID)
	assert.Equal(t, "user_8", membership.PublicUserData.UserID)
	assert.Equal(t, 7, membership.Organization.PendingInvitationsCount)

	organization, ok := verified(t, "organization_updated").Data.(*clerkorg.Organization)
	require.True(t, ok)
	assert.Equal(t, "Analytical Engines", organization.Name)

	deleted, ok := verified(t, "organization_deleted").Data.(*DeletedObject)
	require.True(t, ok)
	assert.Equal(t, &DeletedObject{Object: "organization", ID: "org_1", Slug: "analytical-engines", Deleted: true}, deleted)

	unknown := verified(t, "user_created")
	assert.Equal(t, EventType("user.created"), unknown.Type)
	raw, ok := unknown.Data.(json.RawMessage)
	require.True(t, ok)
	assert.Contains(t, string(raw), "9007199254740993")
}

// Each type that is listed has data of the type that its comment names.
func TestDataTypes(t *testing.T) {
	t.Parallel()
	for event, want := range everyType {
		body := fmt.Appendf(nil, `{"type":%q,"data":{"id":"x_1","user_id":"user_8"}}`, event)
		got, err := newTestVerifier(t).Verify(signed(t, secretA, body), body)
		require.NoError(t, err)
		assert.IsType(t, want, got.Data, event)
		if invitation, ok := got.Data.(*Invitation); ok {
			assert.Equal(t, event == InvitationAccepted, invitation.UserID == "user_8")
		}
	}
}

func TestOddBodies(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		``:                      "expected { at offset 0",
		`null`:                  "it has no type",
		`ada@example.com`:       "expected { at offset 0",
		`<html>ada@example.com`: "expected { at offset 0",
		`"ada@example.com"`:     "expected { at offset 0",
		`[]`:                    "expected { at offset 0",
		`{}`:                    "it has no type",
		`{"type":""}`:           "it has no type",
		`{"type":"x"} ada`:      "expected nothing more at offset 13",
		`{"type":["ticket"]}`:   "type: expected a string at offset 8",
		`{"type":"x","timestamp":"1779009000456"}`:                                                             "timestamp: expected a value for clerkorg.Timestamp at offset 24",
		`{"type":"organizationInvitation.accepted"}`:                                                           "organizationInvitation.accepted: data: missing",
		`{"type":"organizationInvitation.accepted","data":null}`:                                               "organizationInvitation.accepted: data: there is no id",
		`{"type":"organizationInvitation.accepted","data":[]}`:                                                 "organizationInvitation.accepted: data: expected { at offset 0",
		`{"type":"organizationInvitation.accepted","data":{"id":"a","email_address":{"x":"ada@example.com"}}}`: "organizationInvitation.accepted: data: email_address: expected a string at offset 26",
		`{"type":"organizationInvitation.accepted","data":{"id":"a","user_id":9007199254740993}}`:              "organizationInvitation.accepted: data: user_id: expected a string at offset 20",
		`{"type":"organizationMembership.created","data":{"organization":{"name":7}}}`:                         "organizationMembership.created: data: organization.name: expected a string at offset 24",
		`{"type":"organization.updated","data":{"object":"user"}}`:                                             "organization.updated: data: there is no id",
		`{"type":"organization.deleted","data":{"deleted":"ticket"}}`:                                          "organization.deleted: data: deleted: expected true or false at offset 11",
		strings.Repeat("[", 20000):                                                                             "expected { at offset 0",
		`{"type":"x","data":` + strings.Repeat("[", 20000):                                                     "data: expected less nesting at offset 10018",
	} {
		event, err := newTestVerifier(t).Verify(signed(t, secretA, []byte(body)), []byte(body))
		assert.Nil(t, event)
		require.ErrorIs(t, err, ErrMalformed)
		assert.Equal(t, "clerkhook: not a readable event: "+want, err.Error())
		assertDiscreet(t, err.Error())
	}
}

// What may be missing, null or new is no reason to refuse an event.
func TestLenience(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		`{"type":"x"}`,
		`{"type":"x","data":null,"timestamp":null,"instance_id":null,"object":null}`,
		`{"type":"x","data":"text","timestamp":0}`,
		`{"type":"organizationInvitation.expired","data":{}}`,
		` { "new" : [ 1 ] , "type" : "organizationInvitation.created" , "data" : { "id" : "a" , "url" : null , "new" : {} } } `,
		`{"type":"organizationInvitation.created","data":{"id":"a","public_inviter_data":null,"role":"org:new","status":"new"}}`,
	} {
		event, err := newTestVerifier(t).Verify(signed(t, secretA, []byte(body)), []byte(body))
		require.NoError(t, err, body)
		assert.True(t, event.Timestamp.IsZero())
	}
}

func TestDecode(t *testing.T) {
	t.Parallel()
	var user struct {
		ID             string `json:"id"`
		EmailAddresses []struct {
			EmailAddress string `json:"email_address"`
		} `json:"email_addresses"`
	}
	require.NoError(t, verified(t, "user_created").Decode(&user))
	assert.Equal(t, "user_8", user.ID)
	assert.Equal(t, "ada@example.com", user.EmailAddresses[0].EmailAddress)

	var extra map[string]any
	require.NoError(t, verified(t, "invitation_accepted").Decode(&extra))
	assert.Equal(t, "user_8", extra["user_id"], "of a type that is known")

	for _, v := range []any{new(int), new([]string), new(struct {
		EmailAddresses []int `json:"email_addresses"`
	}), nil, user} {
		err := verified(t, "user_created").Decode(v)
		require.ErrorContains(t, err, "clerkhook: data of the event do not fit into ")
		assertDiscreet(t, err.Error())
	}
}

func TestEventOwnsItsMemory(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"invitation_created", "invitation_accepted", "membership_created", "user_created"} {
		body := fixture(t, name)
		event, err := newTestVerifier(t).Verify(signed(t, secretA, body), body)
		require.NoError(t, err)
		before, err := json.Marshal(event)
		require.NoError(t, err)
		for i := range body {
			body[i] = '#'
		}
		after, err := json.Marshal(event)
		require.NoError(t, err)
		assert.Equal(t, string(before), string(after))
	}
}

func TestPrintedEventsHoldNoData(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"invitation_created", "invitation_accepted", "membership_created", "user_created"} {
		event := verified(t, name)
		var text strings.Builder
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x"} {
			fmt.Fprintf(&text, verb+" ", event)
			fmt.Fprintf(&text, verb+"\n", *event)
		}
		fmt.Fprintf(&text, "%v", fmt.Errorf("failed: %v", event))
		for _, handler := range []slog.Handler{slog.NewJSONHandler(&text, nil), slog.NewTextHandler(&text, nil)} {
			slog.New(handler).Info("m", "event", event)
			slog.New(handler).Info("m", "event", *event)
		}
		assertDiscreet(t, text.String())
		assert.Contains(t, text.String(), `clerkhook.Event("`+string(event.Type)+`" "msg_1")`)
		assert.Contains(t, text.String(), `"event":{"id":"msg_1","type":"`)
	}
}

// An invitation that is encoded keeps the user, and is read again as it was.
func TestInvitationJSON(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"invitation_created", "invitation_accepted"} {
		invitation := verified(t, name).Data.(*Invitation)
		encoded, err := json.Marshal(invitation)
		require.NoError(t, err)
		var again Invitation
		require.NoError(t, json.Unmarshal(encoded, &again))
		var want, got bytes.Buffer
		require.NoError(t, json.Compact(&want, invitation.PublicMetadata))
		require.NoError(t, json.Compact(&got, again.PublicMetadata))
		assert.Equal(t, want.String(), got.String())
		assert.Equal(t, invitation.UserID, again.UserID)
		assert.Equal(t, invitation.EmailAddress, again.EmailAddress)
		assert.Equal(t, name == "invitation_accepted", strings.Contains(string(encoded), `"user_id":"user_8"}`))
	}
}
