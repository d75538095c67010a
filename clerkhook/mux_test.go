package clerkhook

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/clerkorg/clerkorg-go"
)

// everyType has the types of events that are known, with data of the type that each
// is decoded into.
var everyType = map[EventType]any{
	InvitationCreated: &Invitation{}, InvitationAccepted: &Invitation{}, InvitationRevoked: &Invitation{},
	MembershipCreated: &clerkorg.OrganizationMembership{}, MembershipUpdated: &clerkorg.OrganizationMembership{},
	MembershipDeleted:   &clerkorg.OrganizationMembership{},
	OrganizationCreated: &clerkorg.Organization{}, OrganizationUpdated: &clerkorg.Organization{}, OrganizationDeleted: &DeletedObject{},
}

func TestMux(t *testing.T) {
	t.Parallel()
	failure := errors.New("failed")
	var called []EventType
	mux := Mux{Other: func(context.Context, *Event) error {
		called = append(called, "other")
		return failure
	}}
	only := mux
	mux.InvitationCreated = told[Invitation](&called, InvitationCreated)
	mux.InvitationAccepted = told[Invitation](&called, InvitationAccepted)
	mux.InvitationRevoked = told[Invitation](&called, InvitationRevoked)
	mux.MembershipCreated = told[clerkorg.OrganizationMembership](&called, MembershipCreated)
	mux.MembershipUpdated = told[clerkorg.OrganizationMembership](&called, MembershipUpdated)
	mux.MembershipDeleted = told[clerkorg.OrganizationMembership](&called, MembershipDeleted)
	mux.OrganizationCreated = told[clerkorg.Organization](&called, OrganizationCreated)
	mux.OrganizationUpdated = told[clerkorg.Organization](&called, OrganizationUpdated)
	mux.OrganizationDeleted = told[DeletedObject](&called, OrganizationDeleted)
	ctx := t.Context()
	for event, data := range everyType {
		called = nil
		assert.EqualError(t, mux.HandleEvent(ctx, &Event{Type: event, Data: data}), string(event))
		assert.Equal(t, []EventType{event}, called)

		called = nil
		assert.Equal(t, failure, only.HandleEvent(ctx, &Event{Type: event, Data: data}))
		assert.Equal(t, []EventType{"other"}, called, "its own function is nil")
		assert.NoError(t, Mux{}.HandleEvent(ctx, &Event{Type: event, Data: data}))
	}
	assert.Equal(t, failure, mux.HandleEvent(ctx, &Event{Type: "user.created"}))
	assert.NoError(t, Mux{}.HandleEvent(ctx, &Event{Type: "user.created"}))
}

// told returns a function that tells of its call, and fails with its name.
func told[T any](called *[]EventType, name EventType) Func[T] {
	return func(_ context.Context, event *Event, data *T) error {
		if event.Data != any(data) {
			return errors.New("other data")
		}
		*called = append(*called, name)
		return errors.New(string(name))
	}
}

func TestFunc(t *testing.T) {
	t.Parallel()
	var called []EventType
	f := told[Invitation](&called, "called")
	assert.NoError(t, f.HandleEvent(t.Context(), &Event{Data: &DeletedObject{}}))
	assert.Empty(t, called)
	assert.Error(t, f.HandleEvent(t.Context(), &Event{Data: &Invitation{}}))
	assert.Len(t, called, 1)
	assert.NoError(t, Func[Invitation](nil).HandleEvent(t.Context(), &Event{Data: &Invitation{}}))
}
