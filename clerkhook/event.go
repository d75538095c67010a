package clerkhook

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/clerkorg/clerkorg-go"
	"github.com/clerkorg/clerkorg-go/internal/jsonwire"
)

// EventType is what happened, such as "organizationInvitation.accepted". Types that
// are not listed here are kept as they were sent.
type EventType string

// The types of events whose data are decoded, and in which type.
const (
	InvitationCreated  EventType = "organizationInvitation.created"  // *Invitation
	InvitationAccepted EventType = "organizationInvitation.accepted" // *Invitation, with its UserID
	InvitationRevoked  EventType = "organizationInvitation.revoked"  // *Invitation

	MembershipCreated EventType = "organizationMembership.created" // *clerkorg.OrganizationMembership
	MembershipUpdated EventType = "organizationMembership.updated" // *clerkorg.OrganizationMembership
	MembershipDeleted EventType = "organizationMembership.deleted" // *clerkorg.OrganizationMembership, as it was

	OrganizationCreated EventType = "organization.created" // *clerkorg.Organization
	OrganizationUpdated EventType = "organization.updated" // *clerkorg.Organization
	OrganizationDeleted EventType = "organization.deleted" // *DeletedObject
)

// Event is one event. Printing or logging it shows no data, which may be personal
// and may hold secrets.
type Event struct {
	// ID is the id of the event, the same for each attempt to deliver it: the header
	// svix-id.
	ID string

	Type EventType

	// Timestamp is when it happened. It is zero where the event does not say so, or names
	// a year that has not four digits.
	Timestamp time.Time

	// InstanceID is the Clerk instance in which it happened ("ins_…"), and tells
	// production from development.
	InstanceID string

	// Data is, by the type of the event, an [*Invitation], a
	// [*clerkorg.OrganizationMembership], a [*clerkorg.Organization] or a
	// [*DeletedObject]. For all other types it is a [json.RawMessage], which is nil
	// where the event has no data.
	Data any

	data json.RawMessage
}

// Decode decodes the data of an event of any type into v, a non-nil pointer: those
// of a type that this package does not know, or fields of one that it does know.
// Names of struct fields match exactly. Data that do not fit into v are an error that
// says where, and holds nothing of them.
func (e *Event) Decode(v any) error {
	if err := jsonwire.Unmarshal(e.data, v); err != nil {
		return fmt.Errorf("clerkhook: data of the event do not fit into %T: %s", v, wireFault(err))
	}
	return nil
}

// String describes the event without its data.
func (e Event) String() string {
	return fmt.Sprintf("clerkhook.Event(%q %q)", e.Type, e.ID)
}

// Format is String for every verb, so that none prints the data.
func (e Event) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(e.String())) }

// LogValue describes the event to a logger.
func (e Event) LogValue() slog.Value {
	return slog.GroupValue(slog.String("id", e.ID), slog.String("type", string(e.Type)),
		slog.Time("timestamp", e.Timestamp), slog.String("instance_id", e.InstanceID))
}

// Invitation is the data of an event about an invitation. Its URL admits each person who
// follows it.
type Invitation struct {
	clerkorg.OrganizationInvitation

	// UserID is the user who accepted the invitation, perhaps with another address
	// than the one that was invited. It is empty in all events but
	// [InvitationAccepted].
	UserID string `json:"user_id,omitempty"`
}

// MarshalJSON writes the invitation as Clerk does.
func (i Invitation) MarshalJSON() ([]byte, error) {
	data, err := json.Marshal(i.OrganizationInvitation)
	if err != nil || i.UserID == "" {
		return data, err
	}
	user, err := json.Marshal(i.UserID)
	if err != nil {
		return nil, err
	}
	data = append(data[:len(data)-1], `,"user_id":`...) // before the brace
	return append(append(data, user...), '}'), nil
}

// DeletedObject is what is left of something that was deleted.
type DeletedObject struct {
	Object     string `json:"object"` // "organization"
	ID         string `json:"id"`
	Slug       string `json:"slug,omitempty"`
	ExternalID string `json:"external_id,omitempty"`
	Deleted    bool   `json:"deleted"`
}

// decodeEvent decodes the body of a genuine delivery.
func decodeEvent(id string, body []byte) (*Event, error) {
	var envelope struct {
		Data       json.RawMessage    `json:"data"`
		InstanceID string             `json:"instance_id"`
		Timestamp  clerkorg.Timestamp `json:"timestamp"`
		Type       string             `json:"type"`
	}
	if err := jsonwire.Unmarshal(body, &envelope); err != nil {
		return nil, fmt.Errorf("%w: %s", ErrMalformed, wireFault(err))
	}
	if envelope.Type == "" {
		return nil, fmt.Errorf("%w: it has no type", ErrMalformed)
	}
	if year := envelope.Timestamp.Year(); year < 0 || year > 9999 {
		envelope.Timestamp = clerkorg.Timestamp{} // encoding/json refuses it
	}
	event := &Event{
		ID:         id,
		Type:       EventType(envelope.Type),
		Timestamp:  envelope.Timestamp.Time,
		InstanceID: envelope.InstanceID,
		data:       envelope.Data,
	}
	var err error
	if event.Data, err = decodeData(event.Type, envelope.Data); err != nil {
		return nil, fmt.Errorf("%w: %s: data: %s", ErrMalformed, event.Type, wireFault(err))
	}
	return event, nil
}

// decodeData returns data in the type that belongs to an event. An error belongs to a
// type of event that is known.
func decodeData(event EventType, data []byte) (any, error) {
	switch event {
	case InvitationCreated, InvitationAccepted, InvitationRevoked:
		return decodeInvitation(data, event == InvitationAccepted)
	case MembershipCreated, MembershipUpdated, MembershipDeleted:
		membership, err := decode[clerkorg.OrganizationMembership](data)
		return identified(membership, membership.ID, err)
	case OrganizationCreated, OrganizationUpdated:
		organization, err := decode[clerkorg.Organization](data)
		return identified(organization, organization.ID, err)
	case OrganizationDeleted:
		deleted, err := decode[DeletedObject](data)
		return identified(deleted, deleted.ID, err)
	}
	return json.RawMessage(data), nil
}

func decodeInvitation(data []byte, accepted bool) (any, error) {
	plain, err := decode[clerkorg.OrganizationInvitation](data)
	invitation := &Invitation{OrganizationInvitation: *plain}
	if err == nil && accepted {
		var acceptance struct {
			UserID string `json:"user_id"`
		}
		err = jsonwire.Unmarshal(data, &acceptance)
		invitation.UserID = acceptance.UserID
	}
	return identified(invitation, invitation.ID, err)
}

func decode[T any](data []byte) (*T, error) {
	value := new(T)
	if len(data) == 0 {
		return value, errors.New("missing")
	}
	return value, jsonwire.Unmarshal(data, value)
}

// identified refuses data without an id, as null and {} are.
func identified(value any, id string, err error) (any, error) {
	if err == nil && id == "" {
		err = errors.New("there is no id")
	}
	if err != nil {
		return nil, err
	}
	return value, nil
}

// wireFault is the text of an error that quotes nothing of the input.
func wireFault(err error) string { return strings.TrimPrefix(err.Error(), "jsonwire: ") }
