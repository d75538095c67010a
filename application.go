package clerkorg

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"strconv"

	"github.com/google/go-querystring/query"

	"github.com/clerkorg/clerkorg-go/internal/jsonwire"
	"github.com/clerkorg/clerkorg-go/internal/paging"
)

// InvitationsService has the calls about invitations to sign up for the
// application, into no organization. It is the field Invitations of a
// [Client]. Its calls check their arguments, wait for their quotas, and return errors as
// those of [OrganizationsService] do.
type InvitationsService struct {
	client *Client
}

// ApplicationInvitation is an invitation of an e-mail address to sign up for the
// application.
type ApplicationInvitation struct {
	Object         string           `json:"object"` // "invitation"
	ID             string           `json:"id"`
	EmailAddress   string           `json:"email_address"`
	PublicMetadata Metadata         `json:"public_metadata"` // becomes that of the user
	Status         InvitationStatus `json:"status"`
	Revoked        bool             `json:"revoked"`
	URL            string           `json:"url,omitempty"` // where the invitee signs up; may be empty
	ExpiresAt      Timestamp        `json:"expires_at"`    // zero where it does not expire
	CreatedAt      Timestamp        `json:"created_at"`
	UpdatedAt      Timestamp        `json:"updated_at"`
}

func (i *ApplicationInvitation) id() string { return i.ID }

// ApplicationInvitationList is a page of invitations to the application.
type ApplicationInvitationList struct {
	Data []ApplicationInvitation `json:"data"`

	// TotalCount is the number of entries on all pages together; 0 where the server
	// answers with a bare list, which does not tell.
	TotalCount int `json:"total_count"`
}

// InvitationTemplate is the e-mail template of an invitation to the application.
type InvitationTemplate string

// The templates that Clerk has.
const (
	TemplateInvitation         InvitationTemplate = "invitation" // the server's default
	TemplateWaitlistInvitation InvitationTemplate = "waitlist_invitation"
)

// CreateApplicationInvitationParams is one person to be invited to the application.
// Fields other than EmailAddress may be zero.
type CreateApplicationInvitationParams struct {
	// EmailAddress is a bare address of at most 254 bytes.
	EmailAddress string

	// RedirectURL is where the link in the e-mail leads, an absolute URL or a path, of at
	// most 2048 bytes. Only custom flows need it.
	RedirectURL string

	// PublicMetadata becomes that of the user who signs up. It encodes as a JSON object
	// of at most 8 KB, and may be JSON already ([Metadata], json.RawMessage).
	PublicMetadata any

	// ExpiresInDays is 1 to 365; zero is the server's default, 30.
	ExpiresInDays int

	// Notify is whether an e-mail is sent; nil is the server's default, true.
	Notify *bool

	// IgnoreExisting creates the invitation although the address has a pending one, or a
	// user has it. After an unknown outcome the invitations then do not tell which call
	// created them.
	IgnoreExisting bool

	// Template is the e-mail's template; empty is the server's default.
	Template InvitationTemplate
}

// ListApplicationInvitationsParams filters the invitations to the application. Zero
// values are left out of the request; a nil pointer asks for all that are not revoked.
type ListApplicationInvitationsParams struct {
	// Status keeps invitations in this state. Revoked ones are listed only where it asks
	// for them.
	Status InvitationStatus `url:"status,omitempty"`

	// Query keeps invitations whose address or id holds this text, of at most 2048 bytes.
	Query string `url:"query,omitempty"`

	// OrderBy is created_at, email_address or expires_at, with "+" or "-" in front or
	// without.
	OrderBy OrderBy `url:"order_by,omitempty"`

	// Limit is 1 to 500; zero is the server's default, 10.
	Limit int `url:"limit,omitempty"`

	// Offset is the number of entries to skip.
	Offset int `url:"offset,omitempty"`
}

// Create invites one person to sign up. Clerk admits 100 of these calls an hour
// ([QuotaApplicationCreate]). The errors are those of
// [OrganizationsService.CreateInvitation]; an address with a pending invitation is
// [ErrAlreadyInvited], and one that a user has is [CodeIdentifierExists].
//
// Clerk: https://clerk.com/docs/reference/backend-api/tag/Invitations#operation/CreateInvitation
// (POST /invitations)
func (s *InvitationsService) Create(ctx context.Context, params CreateApplicationInvitationParams) (*ApplicationInvitation, error) {
	var p problems
	wire, _ := p.applicationInvitation(0, &params, nil)
	if err := p.err(); err != nil {
		return nil, err
	}
	return send(ctx, s.client, &call{operation: "Invitations.Create", method: http.MethodPost, template: "/invitations", body: &wire}, decodeApplicationInvitation)
}

// CreateBulk invites 1 to 10 people to sign up with one call, of which Clerk admits 25
// an hour ([QuotaApplicationBulk]). The invitations come back in the order of params. The
// errors are those of [OrganizationsService.CreateInvitationBulk]; after an unknown
// outcome, [InvitationsService.All] with the address as Query finds what was
// created.
//
// Clerk: https://clerk.com/docs/reference/backend-api/tag/Invitations#operation/CreateBulkInvitations
// (POST /invitations/bulk)
func (s *InvitationsService) CreateBulk(ctx context.Context, params []CreateApplicationInvitationParams) ([]ApplicationInvitation, error) {
	var p problems
	p.number(len(params))
	wire := make(wireApplicationInvitations, len(params))
	var metadata []byte
	var keys [MaxBulkInvitations]string
	for i := range params {
		wire[i], metadata = p.applicationInvitation(i, &params[i], metadata)
		p.distinct(&keys, i, params[i].EmailAddress)
	}
	if err := p.err(); err != nil {
		return nil, err
	}
	return send(ctx, s.client, &call{operation: "Invitations.CreateBulk", method: http.MethodPost, template: "/invitations/bulk", body: wire},
		func(data []byte) ([]ApplicationInvitation, error) {
			return decodeBulk(data, len(wire), (*ApplicationInvitation).id)
		})
}

// List returns a page of the invitations to the application, newest first unless params
// say otherwise.
//
// Clerk: https://clerk.com/docs/reference/backend-api/tag/Invitations#operation/ListInvitations
// (GET /invitations)
func (s *InvitationsService) List(ctx context.Context, params *ListApplicationInvitationsParams) (*ApplicationInvitationList, error) {
	var p problems
	if params != nil {
		if params.Status != "" {
			p.statuses([]InvitationStatus{params.Status})
		}
		p.text(-1, "query", params.Query)
		p.order(params.OrderBy, "created_at", "email_address", "expires_at")
		p.page(params.Limit, params.Offset)
	}
	if err := p.err(); err != nil {
		return nil, err
	}
	values, err := query.Values(params) // of a nil pointer: none
	if err != nil {
		return nil, fmt.Errorf("clerkorg: query of /invitations: %w", err)
	}
	values.Set("paginated", "true") // for the total
	return send(ctx, s.client, &call{operation: "Invitations.List", method: http.MethodGet, template: "/invitations", query: values.Encode()},
		func(data []byte) (*ApplicationInvitationList, error) {
			items, total, err := decodeList[ApplicationInvitation](data)
			if err == nil && items == nil {
				err = errors.New("the answer holds no list")
			}
			return &ApplicationInvitationList{Data: items, TotalCount: total}, err
		})
}

// All yields the invitations to the application, as [OrganizationsService.Invitations]
// does those of an organization.
//
// Clerk: https://clerk.com/docs/reference/backend-api/tag/Invitations#operation/ListInvitations
// (GET /invitations)
func (s *InvitationsService) All(ctx context.Context, params *ListApplicationInvitationsParams) iter.Seq2[ApplicationInvitation, error] {
	base := valueOf(params)
	base.OrderBy = orderOf(base.OrderBy)
	return paging.Pager[ApplicationInvitation]{
		Limit:       sizeOf(base.Limit),
		NewestFirst: base.OrderBy == OrderByNewest && (base.Status == "" || base.Status == InvitationPending),
		ID:          (*ApplicationInvitation).id,
		Fetch: func(ctx context.Context, limit, offset int) ([]ApplicationInvitation, int, error) {
			params := base
			params.Limit, params.Offset = limit, base.Offset+offset
			page, err := s.List(ctx, &params)
			if err != nil {
				return nil, 0, err
			}
			return page.Data, max(0, page.TotalCount-base.Offset), nil
		},
	}.All(ctx)
}

// Revoke revokes a pending invitation and returns it. One that is no longer pending is an
// [*APIError] with [CodeApplicationInvitationAccepted] or
// [CodeApplicationInvitationRevoked]; an unknown one is [ErrNotFound].
//
// Clerk: https://clerk.com/docs/reference/backend-api/tag/Invitations#operation/RevokeInvitation
// (POST /invitations/{invitation_id}/revoke)
func (s *InvitationsService) Revoke(ctx context.Context, invitationID string) (*ApplicationInvitation, error) {
	var p problems
	p.id("invitation_id", invitationID)
	if err := p.err(); err != nil {
		return nil, err
	}
	return send(ctx, s.client, &call{
		operation: "Invitations.Revoke",
		method:    http.MethodPost,
		template:  "/invitations/{invitation_id}/revoke",
		ids:       [2]string{invitationID},
		body:      noParams{},
	}, decodeApplicationInvitation)
}

// noParams is the body of a call that has none. Without one net/http sends a request
// again by itself, after a reset that does not say that it was not carried out.
type noParams struct{}

func (noParams) sizeOnWire() int { return 2 }

func (noParams) appendJSON(dst []byte) []byte { return append(dst, "{}"...) }

func decodeApplicationInvitation(data []byte) (*ApplicationInvitation, error) {
	invitation, err := decode[ApplicationInvitation](data)
	if err == nil && invitation.ID == "" {
		return nil, errors.New("the answer holds no invitation")
	}
	return invitation, err
}

// wireApplicationInvitation is CreateApplicationInvitationParams as sent.
type wireApplicationInvitation struct {
	params   *CreateApplicationInvitationParams
	metadata json.RawMessage // valid, and without white space
}

// applicationInvitation checks one of the params. Its metadata is encoded at the end of
// buf.
func (p *problems) applicationInvitation(i int, params *CreateApplicationInvitationParams, buf []byte) (wireApplicationInvitation, []byte) {
	p.address(i, "email_address", params.EmailAddress)
	p.redirect(i, params.RedirectURL)
	p.days(i, params.ExpiresInDays)
	switch params.Template {
	case "", TemplateInvitation, TemplateWaitlistInvitation:
	default:
		p.add(i, "template_slug", "must be %s or %s", TemplateInvitation, TemplateWaitlistInvitation)
	}
	wire := wireApplicationInvitation{params: params}
	wire.metadata, buf = p.metadata(i, "public_metadata", params.PublicMetadata, buf)
	return wire, buf
}

func (w *wireApplicationInvitation) sizeOnWire() int {
	const names = 160 // of the fields, with quotes and colons, and the small values
	return names + len(w.params.EmailAddress) + len(w.params.RedirectURL) + len(w.metadata)
}

func (w *wireApplicationInvitation) appendJSON(dst []byte) []byte {
	dst = jsonwire.AppendString(append(dst, `{"email_address":`...), w.params.EmailAddress)
	if w.params.RedirectURL != "" {
		dst = jsonwire.AppendString(append(dst, `,"redirect_url":`...), w.params.RedirectURL)
	}
	if len(w.metadata) > 0 {
		dst = append(append(dst, `,"public_metadata":`...), w.metadata...)
	}
	if w.params.ExpiresInDays != 0 {
		dst = strconv.AppendInt(append(dst, `,"expires_in_days":`...), int64(w.params.ExpiresInDays), 10)
	}
	if w.params.Notify != nil {
		dst = strconv.AppendBool(append(dst, `,"notify":`...), *w.params.Notify)
	}
	if w.params.IgnoreExisting {
		dst = append(dst, `,"ignore_existing":true`...)
	}
	if w.params.Template != "" {
		dst = jsonwire.AppendString(append(dst, `,"template_slug":`...), string(w.params.Template))
	}
	return append(dst, '}')
}

// wireApplicationInvitations is the body of a bulk call.
type wireApplicationInvitations []wireApplicationInvitation

func (w wireApplicationInvitations) sizeOnWire() int { return sizeOfArray(w) }

func (w wireApplicationInvitations) appendJSON(dst []byte) []byte { return appendArray(dst, w) }
