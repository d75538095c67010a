package clerkorg

import (
	"context"
	"errors"
	"iter"
	"net/http"
	"slices"

	"github.com/clerkorg/clerkorg-go/internal/paging"
)

// OrganizationsService has the calls about organizations, their members and the
// invitations into them. It is reached as Client.Organizations.
//
// Every call validates its arguments before anything is sent (a
// [*ValidationError]), escapes the ids it puts into paths, and returns nil with
// an error. What comes back then is an [*APIError] where the server answered, a
// [*RateLimitError] where a quota is spent, and otherwise an error that tells
// through errors.Is whether its outcome is unknown ([ErrOutcomeUnknown]) and
// whether the context ended it.
type OrganizationsService struct {
	client *Client
}

// Get returns an organization by its id or slug, with the number of its members
// and of its pending invitations, and how many of both together it may have. An
// unknown one is [ErrNotFound].
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
		method:   http.MethodGet,
		template: "/organizations/{organization_id}",
		ids:      [2]string{organizationID},
		query:    "include_members_count=true",
	}, func(data []byte) (*Organization, error) {
		organization, err := decode[Organization](data)
		if err == nil && organization.ID == "" {
			return nil, errors.New("the answer holds no organization")
		}
		return organization, err
	})
}

// ListMembershipsParams filters the members of an organization. Zero values are
// left out; a nil pointer asks for everything.
type ListMembershipsParams struct {
	// EmailAddress keeps members that have one of these addresses, at most 100.
	// Unknown ones are ignored.
	EmailAddress []string `url:"email_address,omitempty"`

	// OrderBy is phone_number, email_address, created_at, first_name, last_name or
	// username, with "+" or "-" in front or without.
	OrderBy OrderBy `url:"order_by,omitempty"`

	// Limit is 1 to 500; zero leaves it to the server, which takes 10.
	Limit int `url:"limit,omitempty"`

	// Offset is how many to skip.
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
		template: "/organizations/{organization_id}/memberships",
		ids:      [2]string{organizationID},
	})
}

// Memberships yields all members of an organization, in pages of 500 unless
// params say otherwise. It yields no member twice, and every one who was a member all
// along, also while members come and go. An error ends it. Nothing is sent before
// it is ranged over.
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
