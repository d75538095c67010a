package clerkhook_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"time"

	"github.com/clerkorg/clerkorg-go"
	"github.com/clerkorg/clerkorg-go/clerkhook"
)

const signingSecret = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="

const accepted = `{"object":"event","type":"organizationInvitation.accepted","instance_id":"ins_1","timestamp":1779009000456,
	"data":{"object":"organization_invitation","id":"orginv_1","email_address":"ada@example.com","role":"org:member",
	"organization_id":"org_1","status":"accepted","user_id":"user_8"}}`

// request is a delivery as Clerk sends it.
func request(id, body string) *http.Request {
	now := strconv.FormatInt(time.Now().Unix(), 10)
	key, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(signingSecret, "whsec_"))
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%s.%s", id, now, body)
	r := httptest.NewRequest(http.MethodPost, "/webhooks/clerk", strings.NewReader(body))
	r.Header.Set("Svix-Id", id)
	r.Header.Set("Svix-Timestamp", now)
	r.Header.Set("Svix-Signature", "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	return r
}

// The functions of a Mux get the data of their events in its type. The handler
// answers 500 where a function fails, so that Clerk delivers the event again.
func ExampleHandler() {
	verifier, err := clerkhook.NewVerifier(signingSecret)
	if err != nil {
		log.Fatal(err)
	}
	events := clerkhook.Mux{
		InvitationAccepted: func(_ context.Context, event *clerkhook.Event, invitation *clerkhook.Invitation) error {
			fmt.Println(event.ID, invitation.ID, "was accepted by", invitation.UserID)
			return nil
		},
		MembershipDeleted: func(_ context.Context, _ *clerkhook.Event, membership *clerkorg.OrganizationMembership) error {
			fmt.Println(membership.PublicUserData.UserID, "has left", membership.Organization.ID)
			return nil
		},
	}
	handler := clerkhook.Handler(verifier, events.HandleEvent,
		clerkhook.WithDeduplicator(clerkhook.NewMemoryDeduplicator(0)),
		clerkhook.WithErrorFunc(func(_ context.Context, _ *clerkhook.Event, err error) { fmt.Println(err) }))

	for range 2 { // the same event twice
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, request("msg_1", accepted))
		fmt.Println(answer.Code)
	}
	forged := request("msg_2", accepted)
	forged.Header.Set("Svix-Id", "msg_3")
	answer := httptest.NewRecorder()
	handler.ServeHTTP(answer, forged)
	fmt.Println(answer.Code)
	// Output:
	// msg_1 orginv_1 was accepted by user_8
	// 204
	// 204
	// clerkhook: no signature fits a secret and the body
	// 400
}

// Verify is for programs that are called with a header and a body, such as functions
// in a cloud. A type switch tells what an event is about.
func ExampleVerifier_Verify() {
	verifier, err := clerkhook.NewVerifier(signingSecret)
	if err != nil {
		log.Fatal(err)
	}
	r := request("msg_1", accepted)
	body, err := io.ReadAll(r.Body)
	if err != nil {
		log.Fatal(err)
	}
	event, err := verifier.Verify(r.Header, body)
	switch {
	case errors.Is(err, clerkhook.ErrStale):
		log.Fatal("look at the clock: ", err)
	case err != nil:
		log.Fatal(err)
	}
	switch data := event.Data.(type) {
	case *clerkhook.Invitation:
		fmt.Println(event.Type, data.ID, data.UserID)
	case *clerkorg.OrganizationMembership:
		fmt.Println(event.Type, data.ID, data.Role)
	default: // a type that this package does not know, or that does not matter here
	}
	// Output: organizationInvitation.accepted orginv_1 user_8
}

// While a secret is being replaced, both are accepted.
func ExampleWithSecrets() {
	verifier, err := clerkhook.NewVerifier("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", clerkhook.WithSecrets(signingSecret))
	if err != nil {
		log.Fatal(err)
	}
	event, err := verifier.Verify(request("msg_1", "").Header, nil)
	fmt.Println(event, err)
	// Output: <nil> clerkhook: not a readable event: expected { at offset 0
}

// Decode reads data of any event, also of a type that this package does not know.
func ExampleEvent_Decode() {
	verifier, err := clerkhook.NewVerifier(signingSecret)
	if err != nil {
		log.Fatal(err)
	}
	handler := clerkhook.Handler(verifier, func(_ context.Context, event *clerkhook.Event) error {
		if event.Type != "user.deleted" {
			return nil
		}
		var user clerkhook.DeletedObject
		if err := event.Decode(&user); err != nil {
			return err
		}
		fmt.Println(user.ID, user.Deleted)
		return nil
	})
	handler.ServeHTTP(httptest.NewRecorder(), request("msg_1", `{"type":"user.deleted","data":{"id":"user_8","object":"user","deleted":true}}`))
	// Output: user_8 true
}
