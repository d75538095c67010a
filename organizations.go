package clerkorg

import (
	"context"
	"errors"
	"iter"
	"net/http"
	"slices"

	"github.com/clerkorg/clerkorg-go/internal/paging"
)

// OrganizationsService has the calls about organizations, their members and their
// invitations. It is the field Organizations of a [Client].
//
// Every call validates its arguments before anything is sent (a
// [*ValidationError]), escapes the ids it puts into paths, and returns nil with
// an error. The error is an [*APIError] where the server refused, a
// [*RateLimitError] where a quota is spent, and otherwise one that tells through
// errors.Is whether the outcome is unknown ([ErrOutcomeUnknown]), whether the rate
// limiter could not be asked ([ErrLimiterUnavailable]), and whether the context
// ended the call. Ids have at most 2048 bytes.
type OrganizationsService struct {
	client *Client
}

// Get returns an organization by its id or slug, with the numbers of its members
// and pending invitations and the limit of both together. An unknown organization
// is [ErrNotFound].
//
// Clerk: https://clerk.com/docs/reference/backend-api/tag/Organizations#operation/GetOrganization
// (GET /organizations/{organization_id})
func (s *OrganizationsService) Get(ctx context.Context, organizationID string) (*Organization, error) {
	var p problems
	p.id("organization_id", organizationID)
	if err := p.err(); err != nil {
		return nil, err
	}
	return send(ctx, s.client, &call{
		operation: "Organizations.Get",
		method:    http.MethodGet,
		template:  "/organizations/{organization_id}",
		ids:       [2]string{organizationID},
		query:     "include_members_count=true",
	}, func(data []byte) (*Organization, error) {
		organization, err := decode[Organization](data)
		if err == nil && organization.ID == "" {
			return nil, errors.New("the answer holds no organization")
		}
		return organization, err
	})
}

// ListMembershipsParams filters the members of an organization. Zero values are
// left out of the request; a nil pointer asks for all.
type ListMembershipsParams struct {
	// EmailAddress keeps members that have one of these addresses, at most 100.
	// Unknown ones are ignored.
	EmailAddress []string `url:"email_address,omitempty"`

	// OrderBy is phone_number, email_address, created_at, first_name, last_name or
	// username, with "+" or "-" in front or without.
	OrderBy OrderBy `url:"order_by,omitempty"`

	// Limit is 1 to 500; zero is the server's default, 10.
	Limit int `url:"limit,omitempty"`

	// Offset is the number of entries to skip.
	Offset int `url:"offset,omitempty"`
}

func (params *ListMembershipsParams) check(p *problems) {
	if n := len(params.EmailAddress); n > maxMemberQueries {
		p.add(-1, "email_address", "must be at most %d addresses, are %d", maxMemberQueries, n)
	}
	for i, address := range params.EmailAddress {
		p.address(i, "email_address", address)
	}
	p.order(params.OrderBy, "created_at", "email_address", "first_name", "last_name", "phone_number", "username")
	p.page(params.Limit, params.Offset)
}

// ListMemberships returns a page of an organization's members. An unknown
// organization is [ErrNotFound].
//
// Clerk: https://clerk.com/docs/reference/backend-api/tag/Organization-Memberships#operation/ListOrganizationMemberships
// (GET /organizations/{organization_id}/memberships)
func (s *OrganizationsService) ListMemberships(ctx context.Context, organizationID string, params *ListMembershipsParams) (*MembershipList, error) {
	var p problems
	p.id("organization_id", organizationID)
	if params != nil {
		params.check(&p)
	}
	if err := p.err(); err != nil {
		return nil, err
	}
	return list[MembershipList](ctx, s.client, params, &call{
		operation: "Organizations.ListMemberships",
		template:  "/organizations/{organization_id}/memberships",
		ids:       [2]string{organizationID},
	})
}

// Memberships yields the members of an organization, in pages of params.Limit (500
// where it is zero). It yields no member twice, and each one who is a member from
// beginning to end, also while members come and go. An error is yielded last.
// Nothing is sent before the iterator is ranged over, and it can be ranged over
// again.
//
// Clerk: https://clerk.com/docs/reference/backend-api/tag/Organization-Memberships#operation/ListOrganizationMemberships
// (GET /organizations/{organization_id}/memberships)
func (s *OrganizationsService) Memberships(ctx context.Context, organizationID string, params *ListMembershipsParams) iter.Seq2[OrganizationMembership, error] {
	base := valueOf(params)
	base.OrderBy, base.EmailAddress = orderOf(base.OrderBy), slices.Clone(base.EmailAddress)
	return paging.Pager[OrganizationMembership]{
		Limit:       sizeOf(base.Limit),
		NewestFirst: base.OrderBy == OrderByNewest,
		ID:          func(m *OrganizationMembership) string { return m.ID },
		Fetch: func(ctx context.Context, limit, offset int) ([]OrganizationMembership, int, error) {
			params := base
			params.Limit, params.Offset = limit, base.Offset+offset
			list, err := s.ListMemberships(ctx, organizationID, &params)
			if err != nil {
				return nil, 0, err
			}
			return list.Data, list.TotalCount - base.Offset, nil
		},
	}.All(ctx)
}
