package clerkorg

import (
	"cmp"
	"context"
	"iter"
	"slices"
)

// Invitations yields the invitations of an organization, newest first unless
// params say otherwise, in pages of 500 unless they say so too; the next page is
// fetched while one is read. It yields none twice, and every one that was there
// all along, also while the list grows or shrinks. An error ends it. Nothing is
// sent before it is ranged over, and it can be ranged over again.
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
	}).all(ctx)
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
	}).all(ctx)
}

// walkInvitations walks a list of invitations from start on.
func walkInvitations(limit, start int, newestFirst bool, list func(ctx context.Context, limit, offset int) (*InvitationList, error)) pager[OrganizationInvitation] {
	return pager[OrganizationInvitation]{
		limit:       sizeOf(limit),
		newestFirst: newestFirst,
		id:          func(i *OrganizationInvitation) string { return i.ID },
		fetch: func(ctx context.Context, limit, offset int) ([]OrganizationInvitation, int64, error) {
			page, err := list(ctx, limit, start+offset)
			if err != nil {
				return nil, 0, err
			}
			return page.Data, page.TotalCount - int64(start), nil
		},
	}
}

// growsAtFront reports whether what comes into a list comes at its front. One of
// accepted invitations alone, say, grows where the invitation was made.
func growsAtFront(order OrderBy, statuses []InvitationStatus) bool {
	return order == OrderByNewest && (len(statuses) == 0 || slices.Contains(statuses, InvitationPending))
}

// valueOf copies params, so that a walk does not change when they do.
func valueOf[T any](params *T) T {
	if params == nil {
		var none T
		return none
	}
	return *params
}

func orderOf(order OrderBy) OrderBy { return cmp.Or(order, OrderByNewest) }

func sizeOf(limit int) int { return cmp.Or(limit, maxPageSize) }
