package clerkorg

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/clerkorg/clerkorg-go/internal/jsonwire"
)

func TestInvitationFields(t *testing.T) {
	t.Parallel()
	var got OrganizationInvitation
	require.NoError(t, json.Unmarshal([]byte(fixture(t, "invitation.json")), &got))
	assert.Equal(t, OrganizationInvitation{
		Object:         "organization_invitation",
		ID:             "orginv_2a",
		EmailAddress:   "Ada.Lovelace@example.com",
		Role:           RoleAdmin,
		RoleName:       "Admin",
		OrganizationID: "org_1",
		InviterID:      "user_9",
		PublicInviterData: &PublicInviterData{
			UserID: "user_9", FirstName: "Charles", ImageURL: "https://img.example.com/user_9.png", HasImage: true, Identifier: "charles@example.com",
		},
		Status:          InvitationPending,
		PublicMetadata:  Metadata(`{"plan": "pro", "big": 9007199254740993, "nested": {"html": "<b>&</b>", "list": [1.50, null]}}`),
		PrivateMetadata: Metadata(`{"ticket": 18446744073709551615}`),
		URL:             "https://accounts.example.com/accept?ticket=abc&x=1",
		ExpiresAt:       Timestamp{time.UnixMilli(1781600000123).UTC()},
		CreatedAt:       Timestamp{time.UnixMilli(1779008000123).UTC()},
		UpdatedAt:       Timestamp{time.UnixMilli(1779008000456).UTC()},
	}, got)

	got = OrganizationInvitation{}
	require.NoError(t, json.Unmarshal([]byte(fixture(t, "invitation_nulls.json")), &got))
	assert.Empty(t, got.InviterID)
	assert.Nil(t, got.PublicInviterData)
	assert.Empty(t, got.URL)
	assert.True(t, got.ExpiresAt.IsZero())
	assert.Empty(t, got.Status)
	assert.Nil(t, got.PrivateMetadata)
	assert.Equal(t, Role("org:billing_manager"), got.Role)

	var list InvitationList
	require.NoError(t, json.Unmarshal([]byte(fixture(t, "list_instance.json")), &list))
	require.Len(t, list.Data, 2)
	assert.Equal(t, 2, list.TotalCount)
	assert.Equal(t, &PublicOrganizationData{"org_1", "Analytical Engines", "analytical-engines", "https://img.example.com/org_1.png", true}, list.Data[0].PublicOrganizationData)
	assert.Equal(t, InvitationStatus("a_state_of_tomorrow"), list.Data[1].Status, "unknown values are kept")
}

func TestMembershipFields(t *testing.T) {
	t.Parallel()
	var list MembershipList
	require.NoError(t, json.Unmarshal([]byte(fixture(t, "memberships.json")), &list))
	assert.Equal(t, 12, list.TotalCount)
	require.Len(t, list.Data, 1)
	member := list.Data[0]
	assert.Equal(t, &PublicUserData{
		UserID: "user_8", LastName: "Hopper", ImageURL: "https://img.example.com/user_8.png", Identifier: "grace@example.com",
	}, member.PublicUserData)
	assert.Equal(t, RoleMember, member.Role)
	assert.Equal(t, []string{"org:sys_memberships:read"}, member.Permissions)
	assert.Equal(t, `{"big": 9007199254740993}`, member.PrivateMetadata.String())
	assert.Equal(t, time.UnixMilli(1779008000456).UTC(), member.UpdatedAt.Time)
	require.NotNil(t, member.Organization)
	assert.Equal(t, assertMarshalsBack[Organization](t, fixture(t, "organization.json")), *member.Organization)
	assert.Equal(t, 3, member.Organization.MembersCount)
	assert.Equal(t, 7, member.Organization.PendingInvitationsCount)
	assert.Equal(t, 100, member.Organization.MaxAllowedMemberships)
}

// TestAnswersMarshalBack: to what came, nulls and large integers included.
func TestAnswersMarshalBack(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"invitation.json", "invitation_nulls.json", "invitation_revoked.json"} {
		invitation := assertMarshalsBack[OrganizationInvitation](t, fixture(t, name))
		for _, v := range []any{invitation, &invitation, []OrganizationInvitation{invitation}} {
			encoded, err := json.Marshal(v)
			require.NoError(t, err)
			assert.Contains(t, string(encoded), `"`+invitation.ID+`"`)
		}
	}
	for _, name := range []string{"bulk.json", "list.json", "list_instance.json", "list_empty.json"} {
		assertMarshalsBack[InvitationList](t, fixture(t, name))
	}
	bulk := assertMarshalsBack[[]OrganizationInvitation](t, fixture(t, "bulk_bare.json"))
	encoded, err := json.Marshal(bulk)
	require.NoError(t, err)
	for _, exact := range []string{"9007199254740993", "18446744073709551615", "1.50", `"expires_at":null`, `"url":null`, `"inviter_id":null`, `"public_inviter_data":null`, `"last_name":null`, `"created_at":1779008000123`} {
		assert.Contains(t, string(encoded), exact)
	}
	assertMarshalsBack[PublicInviterData](t, `{"user_id":"u","first_name":null,"last_name":null,"image_url":"","has_image":false,"identifier":""}`)
}

func assertMarshalsBack[T any](t *testing.T, wire string) T {
	t.Helper()
	var v T
	require.NoError(t, json.Unmarshal([]byte(wire), &v))
	encoded, err := json.Marshal(v)
	require.NoError(t, err)
	assert.JSONEq(t, wire, string(encoded))
	return v
}

func TestTimestamp(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 5, 17, 8, 53, 20, 123e6, time.UTC)
	for wire, want := range map[string]time.Time{
		"null":              {},
		"0":                 {},
		"1779008000123":     at,
		"1779008000":        at.Truncate(time.Second),
		"1779008000123.0":   at,
		"1.779008000123e12": at,
		"1779008000.7":      at.Truncate(time.Second),
		"99999999999":       time.Unix(99999999999, 0).UTC(),
		"100000000000":      time.UnixMilli(100000000000).UTC(),
		"1000000000":        time.Unix(1000000000, 0).UTC(),
		"999999999":         time.UnixMilli(999999999).UTC(),
		"-1000":             time.UnixMilli(-1000).UTC(),
		"-100000000000":     time.UnixMilli(-100000000000).UTC(),
	} {
		var got Timestamp
		require.NoError(t, json.Unmarshal([]byte(wire), &got), wire)
		assert.Equal(t, Timestamp{want}, got, wire)
		encoded, err := json.Marshal(got)
		require.NoError(t, err)
		again := Timestamp{time.Now()}
		require.NoError(t, json.Unmarshal(encoded, &again))
		assert.Equal(t, got, again, wire)
	}
	for _, wire := range []string{`"1779008000123"`, `"2026-05-17T08:53:20Z"`, `true`, `{}`, `[]`, `1e300`, `-1e19`} {
		assert.Error(t, json.Unmarshal([]byte(wire), new(Timestamp)), wire)
	}
	for _, wire := range []string{"", "NaN", "Inf", "0x1p3"} {
		err := new(Timestamp).UnmarshalJSON([]byte(wire))
		assert.Error(t, err, wire)
	}
	encoded, err := json.Marshal(map[string]Timestamp{"zero": {}, "local": {at.In(time.FixedZone("x", 3600))}})
	require.NoError(t, err)
	assert.Equal(t, `{"local":1779008000123,"zero":null}`, string(encoded))
	encoded, err = json.Marshal(Timestamp{time.UnixMilli(math.MaxInt64 / 4)})
	require.NoError(t, err)
	assert.Equal(t, fmt.Sprint(math.MaxInt64/4), string(encoded))
}

func TestMetadata(t *testing.T) {
	t.Parallel()
	var holder struct {
		M Metadata `json:"m"`
	}
	wire := []byte(`{"m":{"big":9007199254740993,"huge":123456789012345678901234567890}}`)
	require.NoError(t, json.Unmarshal(wire, &holder))
	clear(wire)
	encoded, err := json.Marshal(holder)
	require.NoError(t, err)
	assert.Equal(t, `{"m":{"big":9007199254740993,"huge":123456789012345678901234567890}}`, string(encoded), "it is a copy, and exact")

	var fields struct{ Big int64 }
	require.NoError(t, holder.M.Decode(&fields))
	assert.EqualValues(t, 9007199254740993, fields.Big)
	var number struct{ Huge json.Number }
	require.NoError(t, holder.M.Decode(&number))
	assert.Equal(t, "123456789012345678901234567890", number.Huge.String())
	assert.Equal(t, `{"big":9007199254740993,"huge":123456789012345678901234567890}`, fmt.Sprint(holder.M))

	err = holder.M.Decode(&struct{ Big string }{})
	assert.ErrorContains(t, err, "clerkorg: metadata")
	assert.Error(t, holder.M.Decode(nil))
	assert.Error(t, Metadata("{").Decode(&fields))

	fields.Big = 7
	require.NoError(t, Metadata(nil).Decode(&fields))
	assert.EqualValues(t, 7, fields.Big, "absent metadata leaves it alone")
	require.NoError(t, json.Unmarshal([]byte(`{"m":null}`), &holder))
	assert.Nil(t, holder.M)
	encoded, err = json.Marshal(holder)
	require.NoError(t, err)
	assert.Equal(t, `{"m":null}`, string(encoded))
	_, err = json.Marshal(Metadata("{"))
	assert.Error(t, err)
}

// TestParamsFromJSON: a file of people can be read as it stands.
func TestParamsFromJSON(t *testing.T) {
	t.Parallel()
	const wire = `{"email_address":"ada@example.com","role":"org:member","inviter_user_id":"user_1","redirect_url":"/x",` +
		`"public_metadata":{"big":9007199254740993},"private_metadata":{"a":[1]},"expires_in_days":7,"notify":false}`
	var params CreateInvitationParams
	require.NoError(t, json.Unmarshal([]byte(wire), &params))
	assert.Equal(t, CreateInvitationParams{
		EmailAddress: "ada@example.com", Role: RoleMember, InviterUserID: "user_1", RedirectURL: "/x",
		PublicMetadata: Metadata(`{"big":9007199254740993}`), PrivateMetadata: Metadata(`{"a":[1]}`), ExpiresInDays: 7, Notify: new(false),
	}, params)
	encoded, err := json.Marshal(params)
	require.NoError(t, err)
	assert.Equal(t, wire, string(encoded))

	require.NoError(t, json.Unmarshal([]byte(`{"public_metadata":null,"role":"org:admin"}`), &params))
	assert.Nil(t, params.PublicMetadata)
	assert.Equal(t, RoleAdmin, params.Role)
	assert.Equal(t, "ada@example.com", params.EmailAddress, "what is not there stays, as encoding/json has it")
	for _, bad := range []string{`[]`, `"x"`, `{"expires_in_days":"7"}`, `{"notify":1}`} {
		assert.Error(t, json.Unmarshal([]byte(bad), &params), bad)
	}
	encoded, err = json.Marshal(CreateInvitationParams{EmailAddress: "a@example.com", Role: "r"})
	require.NoError(t, err)
	assert.Equal(t, `{"email_address":"a@example.com","role":"r"}`, string(encoded))

	// An answer's metadata can be sent again.
	var invitation OrganizationInvitation
	require.NoError(t, json.Unmarshal([]byte(strings.ReplaceAll(fixture(t, "invitation.json"), "\n", "\n\t")), &invitation))
	recorder := newRecorder(reply(200, fixture(t, "invitation.json")))
	_, err = newTestClient(t, recorder).Organizations.CreateInvitation(t.Context(), "org_1", CreateInvitationParams{
		EmailAddress: "ada@example.com", Role: RoleMember, PublicMetadata: invitation.PublicMetadata,
	})
	require.NoError(t, err)
	assert.Contains(t, recorder.bodies[0], `{"plan":"pro","big":9007199254740993,"nested":{"html":"<b>&</b>","list":[1.50,null]}}`)
}

// What is sent is written by hand; encoding/json has the last word on it.
func FuzzWireInvitation(f *testing.F) {
	f.Add("ada@example.com", "org:member", "user_1", "https://example.com/?a=1&b=<2>", `{"a":"\u2028<"}`, `{}`, 14, true, false)
	f.Add("", "é\xff\u2028\"\\\n", "", "", "", "", 0, false, true)
	f.Fuzz(func(t *testing.T, address, role, inviter, redirect, public, private string, days int, notified, notify bool) {
		wire := wireInvitation{EmailAddress: address, Role: Role(role), InviterUserID: inviter, RedirectURL: redirect, ExpiresInDays: days}
		wire.PublicMetadata, _ = jsonwire.Compact(nil, []byte(public))
		wire.PrivateMetadata, _ = jsonwire.Compact(nil, []byte(private))
		if notified {
			wire.Notify = &notify
		}
		revoke := RevokeInvitationParams{RequestingUserID: inviter}
		for _, body := range []wireBody{&wire, wireInvitations{wire, wire}, wireInvitations{}, revoke} {
			want, err := jsonwire.Append(nil, body)
			require.NoError(t, err)
			require.Equal(t, string(want), string(body.appendJSON(nil)))
		}
	})
}
