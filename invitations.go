package clerkorg

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"slices"

	"github.com/clerkorg/clerkorg-go/internal/jsonwire"
	"github.com/clerkorg/clerkorg-go/internal/paging"
)

// ListInvitationsParams filters the invitations of an organization. Zero values
// are left out of the request; a nil pointer asks for all.
type ListInvitationsParams struct {
	// Status keeps invitations that are in one of these states.
	Status []InvitationStatus `url:"status,omitempty"`

	// EmailAddress keeps the invitations of this address. It has at most 2048 bytes.
	EmailAddress string `url:"email_address,omitempty"`

	// OrderBy is created_at or email_address, with "+" or "-" in front or without.
	OrderBy OrderBy `url:"order_by,omitempty"`

	// Limit is 1 to 500; zero is the server's default, 10.
	Limit int `url:"limit,omitempty"`

	// Offset is the number of entries to skip.
	Offset int `url:"offset,omitempty"`
}

// ListInstanceInvitationsParams filters the invitations of all organizations.
// Zero values are left out of the request; a nil pointer asks for all.
type ListInstanceInvitationsParams struct {
	// Query keeps invitations whose e-mail address holds this text, of at most 2048
	// bytes.
	Query string `url:"query,omitempty"`

	// Status keeps invitations that are in one of these states.
	Status []InvitationStatus `url:"status,omitempty"`

	// OrderBy is created_at or email_address, with "+" or "-" in front or without.
	OrderBy OrderBy `url:"order_by,omitempty"`

	// Limit is 1 to 500; zero is the server's default, 10.
	Limit int `url:"limit,omitempty"`

	// Offset is the number of entries to skip.
	Offset int `url:"offset,omitempty"`
}

// RevokeInvitationParams names the user who revokes an invitation.
type RevokeInvitationParams struct {
	// RequestingUserID is a user with administrator rights in the organization.
	// It may be empty, and has at most 2048 bytes.
	RequestingUserID string `json:"requesting_user_id,omitempty"`
}

func (p RevokeInvitationParams) sizeOnWire() int { return 32 + len(p.RequestingUserID) }

func (p RevokeInvitationParams) appendJSON(dst []byte) []byte {
	if p.RequestingUserID != "" {
		dst = jsonwire.AppendString(append(dst, `{"requesting_user_id":`...), p.RequestingUserID)
		return append(dst, '}')
	}
	return append(dst, "{}"...)
}

// CreateInvitationBulk invites 1 to 10 people into an organization with a single
// call, of which Clerk admits 50 an hour for a secret key. The invitations come
// back in the order of params.
//
// All arguments are checked before anything is sent: a [*ValidationError] lists
// every problem and spends no quota. Where the quota is spent, the call waits for
// as long as [WithMaxRateLimitWait] allows, or fails at once with a
// [*RateLimitError] that tells how long the wait would be.
//
// A call that the server refused is an [*APIError]; the server does not say
// which of the invitations it was about, nor whether the others were created. An
// error that matches [ErrOutcomeUnknown] means that the request was sent and may have
// been carried out: call [OrganizationsService.FindInvitations] before sending it again.
//
// Clerk: https://clerk.com/docs/reference/backend-api/tag/Organization-Invitations#operation/CreateOrganizationInvitationBulk
// (POST /organizations/{organization_id}/invitations/bulk)
func (s *OrganizationsService) CreateInvitationBulk(ctx context.Context, organizationID string, params []CreateInvitationParams) ([]OrganizationInvitation, error) {
	var p problems
	p.id("organization_id", organizationID)
	p.number(len(params))
	wire := p.invitations(params)
	if err := p.err(); err != nil {
		return nil, err
	}
	return s.createBulk(ctx, organizationID, wire)
}

// createBulk sends a bulk call that was checked.
func (s *OrganizationsService) createBulk(ctx context.Context, organizationID string, wire []wireInvitation) ([]OrganizationInvitation, error) {
	return send(ctx, s.client, &call{
		operation: "Organizations.CreateInvitationBulk",
		method:    http.MethodPost,
		template:  "/organizations/{organization_id}/invitations/bulk",
		ids:       [2]string{organizationID},
		body:      wireInvitations(wire),
	}, func(data []byte) ([]OrganizationInvitation, error) {
		return decodeBulk(data, len(wire), (*OrganizationInvitation).id)
	})
}

// decodeBulk decodes the answer to a bulk call: an object that holds a list or, by
// older descriptions, the bare list. An answer with another number of invitations
// than were sent does not tell what was created.
func decodeBulk[T any](data []byte, want int, id func(*T) string) ([]T, error) {
	created, _, err := decodeList[T](data)
	if err != nil {
		return nil, err
	}
	if len(created) != want {
		return nil, fmt.Errorf("the answer holds %d invitations, %d were sent", len(created), want)
	}
	for i := range created {
		if id(&created[i]) == "" {
			return nil, errors.New("the answer holds an invitation without an id")
		}
	}
	return created, nil
}

// decodeList decodes a list, bare or in an object that tells how long it is on all
// pages together; nil where there is none.
func decodeList[T any](data []byte) (items []T, total int, err error) {
	var list struct {
		Data       []T `json:"data"`
		TotalCount int `json:"total_count"`
	}
	target := any(&list)
	if bytes.HasPrefix(bytes.TrimSpace(data), []byte("[")) {
		target = &list.Data
	}
	if err := jsonwire.Unmarshal(data, target); err != nil {
		return nil, 0, err
	}
	return list.Data, list.TotalCount, nil
}

// decodeInvitation decodes an answer that is one invitation.
func decodeInvitation(data []byte) (*OrganizationInvitation, error) {
	invitation, err := decode[OrganizationInvitation](data)
	if err == nil && invitation.ID == "" {
		return nil, errors.New("the answer holds no invitation")
	}
	return invitation, err
}

// CreateInvitation invites one person into an organization. Clerk admits 250 of
// these calls an hour, in addition to the 50 bulk calls. The arguments are checked, and
// errors come back, as by [OrganizationsService.CreateInvitationBulk].
//
// Clerk: https://clerk.com/docs/reference/backend-api/tag/Organization-Invitations#operation/CreateOrganizationInvitation
// (POST /organizations/{organization_id}/invitations)
func (s *OrganizationsService) CreateInvitation(ctx context.Context, organizationID string, params CreateInvitationParams) (*OrganizationInvitation, error) {
	var p problems
	p.id("organization_id", organizationID)
	wire, _ := p.invitation(0, &params, nil, nil)
	if err := p.err(); err != nil {
		return nil, err
	}
	return s.create(ctx, organizationID, &wire)
}

// create sends a call for one invitation that was checked.
func (s *OrganizationsService) create(ctx context.Context, organizationID string, wire *wireInvitation) (*OrganizationInvitation, error) {
	return send(ctx, s.client, &call{
		operation: "Organizations.CreateInvitation",
		method:    http.MethodPost,
		template:  "/organizations/{organization_id}/invitations",
		ids:       [2]string{organizationID},
		body:      wire,
	}, decodeInvitation)
}

// ListInvitations returns a page of an organization's invitations, newest first
// unless params say otherwise. An unknown organization is [ErrNotFound].
//
// Clerk: https://clerk.com/docs/reference/backend-api/tag/Organization-Invitations#operation/ListOrganizationInvitations
// (GET /organizations/{organization_id}/invitations)
func (s *OrganizationsService) ListInvitations(ctx context.Context, organizationID string, params *ListInvitationsParams) (*InvitationList, error) {
	var p problems
	p.id("organization_id", organizationID)
	if params != nil {
		p.statuses(params.Status)
		p.text(-1, "email_address", params.EmailAddress)
		p.order(params.OrderBy, "created_at", "email_address")
		p.page(params.Limit, params.Offset)
	}
	if err := p.err(); err != nil {
		return nil, err
	}
	return list[InvitationList](ctx, s.client, params, &call{
		operation: "Organizations.ListInvitations",
		template:  "/organizations/{organization_id}/invitations",
		ids:       [2]string{organizationID},
	})
}

// ListInstanceInvitations returns a page of the invitations of all organizations,
// each with its PublicOrganizationData, newest first unless params say otherwise.
//
// Clerk: https://clerk.com/docs/reference/backend-api/tag/Organization-Invitations#operation/ListInstanceOrganizationInvitations
// (GET /organization_invitations)
func (s *OrganizationsService) ListInstanceInvitations(ctx context.Context, params *ListInstanceInvitationsParams) (*InvitationList, error) {
	var p problems
	if params != nil {
		if n := len(params.Query); n > maxTextBytes {
			p.add(-1, "query", "must be at most %d bytes long, is %d", maxTextBytes, n)
		}
		p.statuses(params.Status)
		p.order(params.OrderBy, "created_at", "email_address")
		p.page(params.Limit, params.Offset)
	}
	if err := p.err(); err != nil {
		return nil, err
	}
	return list[InvitationList](ctx, s.client, params, &call{operation: "Organizations.ListInstanceInvitations", template: "/organization_invitations"})
}

// Invitations yields the invitations of an organization, newest first unless
// params say otherwise, in pages of params.Limit (500 where it is zero); the next
// page is fetched while one is read. It yields no invitation twice, and each one
// that is in the list from beginning to end, also while the list grows or shrinks.
// An error is yielded last. Nothing is sent before the iterator is ranged over, and
// it can be ranged over again.
//
// Clerk: https://clerk.com/docs/reference/backend-api/tag/Organization-Invitations#operation/ListOrganizationInvitations
// (GET /organizations/{organization_id}/invitations)
func (s *OrganizationsService) Invitations(ctx context.Context, organizationID string, params *ListInvitationsParams) iter.Seq2[OrganizationInvitation, error] {
	base := valueOf(params)
	base.OrderBy, base.Status = orderOf(base.OrderBy), slices.Clone(base.Status)
	return walkInvitations(base.Limit, base.Offset, growsAtFront(base.OrderBy, base.Status), func(ctx context.Context, limit, offset int) (*InvitationList, error) {
		params := base
		params.Limit, params.Offset = limit, offset
		return s.ListInvitations(ctx, organizationID, &params)
	}).All(ctx)
}

// InstanceInvitations yields the invitations of all organizations, as
// [OrganizationsService.Invitations] does those of one.
//
// Clerk: https://clerk.com/docs/reference/backend-api/tag/Organization-Invitations#operation/ListInstanceOrganizationInvitations
// (GET /organization_invitations)
func (s *OrganizationsService) InstanceInvitations(ctx context.Context, params *ListInstanceInvitationsParams) iter.Seq2[OrganizationInvitation, error] {
	base := valueOf(params)
	base.OrderBy, base.Status = orderOf(base.OrderBy), slices.Clone(base.Status)
	return walkInvitations(base.Limit, base.Offset, growsAtFront(base.OrderBy, base.Status), func(ctx context.Context, limit, offset int) (*InvitationList, error) {
		params := base
		params.Limit, params.Offset = limit, offset
		return s.ListInstanceInvitations(ctx, &params)
	}).All(ctx)
}

// walkInvitations returns a pager over a list of invitations, from the offset start.
func walkInvitations(limit, start int, newestFirst bool, list func(ctx context.Context, limit, offset int) (*InvitationList, error)) paging.Pager[OrganizationInvitation] {
	return paging.Pager[OrganizationInvitation]{
		Limit:       sizeOf(limit),
		NewestFirst: newestFirst,
		ID:          func(i *OrganizationInvitation) string { return i.ID },
		Fetch: func(ctx context.Context, limit, offset int) ([]OrganizationInvitation, int, error) {
			page, err := list(ctx, limit, start+offset)
			if err != nil {
				return nil, 0, err
			}
			return page.Data, page.TotalCount - start, nil
		},
	}
}

// growsAtFront reports whether new entries of a list appear at its front. A list of
// accepted invitations alone, for one, grows at the place of the time of creation.
func growsAtFront(order OrderBy, statuses []InvitationStatus) bool {
	return order == OrderByNewest && (len(statuses) == 0 || slices.Contains(statuses, InvitationPending))
}

func orderOf(order OrderBy) OrderBy { return cmp.Or(order, OrderByNewest) }

func sizeOf(limit int) int { return cmp.Or(limit, maxPageSize) }

// GetInvitation returns one invitation. An unknown one is [ErrNotFound].
//
// Clerk: https://clerk.com/docs/reference/backend-api/tag/Organization-Invitations#operation/GetOrganizationInvitation
// (GET /organizations/{organization_id}/invitations/{invitation_id})
func (s *OrganizationsService) GetInvitation(ctx context.Context, organizationID, invitationID string) (*OrganizationInvitation, error) {
	var p problems
	p.id("organization_id", organizationID)
	p.id("invitation_id", invitationID)
	if err := p.err(); err != nil {
		return nil, err
	}
	return send(ctx, s.client, &call{
		operation: "Organizations.GetInvitation",
		method:    http.MethodGet,
		template:  "/organizations/{organization_id}/invitations/{invitation_id}",
		ids:       [2]string{organizationID, invitationID},
	}, decodeInvitation)
}

// RevokeInvitation revokes a pending invitation and returns it. One that is no
// longer pending is an [*APIError] with [CodeInvitationNotPending]; an unknown one
// is [ErrNotFound]. Params may be nil.
//
// Clerk: https://clerk.com/docs/reference/backend-api/tag/Organization-Invitations#operation/RevokeOrganizationInvitation
// (POST /organizations/{organization_id}/invitations/{invitation_id}/revoke)
func (s *OrganizationsService) RevokeInvitation(ctx context.Context, organizationID, invitationID string, params *RevokeInvitationParams) (*OrganizationInvitation, error) {
	var p problems
	p.id("organization_id", organizationID)
	p.id("invitation_id", invitationID)
	body := RevokeInvitationParams{}
	if params != nil {
		body = *params
		p.text(-1, "requesting_user_id", body.RequestingUserID)
	}
	if err := p.err(); err != nil {
		return nil, err
	}
	return send(ctx, s.client, &call{
		operation: "Organizations.RevokeInvitation",
		method:    http.MethodPost,
		template:  "/organizations/{organization_id}/invitations/{invitation_id}/revoke",
		ids:       [2]string{organizationID, invitationID},
		body:      body,
	}, decodeInvitation)
}
