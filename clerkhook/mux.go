package clerkhook

import (
	"context"

	"github.com/clerkorg/clerkorg-go"
)

// Func is a function for events with data of one type. Its HandleEvent is a callback
// for [Handler].
type Func[T any] func(ctx context.Context, event *Event, data *T) error

// HandleEvent calls f where the data of the event have its type, and otherwise does
// nothing.
func (f Func[T]) HandleEvent(ctx context.Context, event *Event) error {
	if data, ok := event.Data.(*T); ok && f != nil {
		return f(ctx, event, data)
	}
	return nil
}

// Mux calls a function for each type of event. Its HandleEvent is a callback for
// [Handler].
type Mux struct {
	InvitationCreated  Func[Invitation]
	InvitationAccepted Func[Invitation] // with its UserID
	InvitationRevoked  Func[Invitation]

	MembershipCreated Func[clerkorg.OrganizationMembership]
	MembershipUpdated Func[clerkorg.OrganizationMembership]
	MembershipDeleted Func[clerkorg.OrganizationMembership]

	OrganizationCreated Func[clerkorg.Organization]
	OrganizationUpdated Func[clerkorg.Organization]
	OrganizationDeleted Func[DeletedObject]

	// Other is called for events that none of the functions above is for: of other
	// types, or of one whose function is nil.
	Other func(ctx context.Context, event *Event) error
}

// HandleEvent calls the function for the type of the event and returns its error. An
// event without a function is ignored, and the error is nil: it would only be
// delivered again.
func (m Mux) HandleEvent(ctx context.Context, event *Event) error {
	handle := m.Other
	switch event.Type {
	case InvitationCreated:
		handle = m.InvitationCreated.or(handle)
	case InvitationAccepted:
		handle = m.InvitationAccepted.or(handle)
	case InvitationRevoked:
		handle = m.InvitationRevoked.or(handle)
	case MembershipCreated:
		handle = m.MembershipCreated.or(handle)
	case MembershipUpdated:
		handle = m.MembershipUpdated.or(handle)
	case MembershipDeleted:
		handle = m.MembershipDeleted.or(handle)
	case OrganizationCreated:
		handle = m.OrganizationCreated.or(handle)
	case OrganizationUpdated:
		handle = m.OrganizationUpdated.or(handle)
	case OrganizationDeleted:
		handle = m.OrganizationDeleted.or(handle)
	}
	if handle == nil {
		return nil
	}
	return handle(ctx, event)
}

func (f Func[T]) or(other func(context.Context, *Event) error) func(context.Context, *Event) error {
	if f == nil {
		return other
	}
	return f.HandleEvent
}
