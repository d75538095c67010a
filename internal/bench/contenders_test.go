package bench

import (
	"cmp"
	"context"
	"net/http"
	"testing"

	"github.com/clerk/clerk-sdk-go/v2"
	"github.com/clerk/clerk-sdk-go/v2/organizationinvitation"
	"github.com/stretchr/testify/require"

	"github.com/clerkorg/clerkorg-go"
)

// contender is a client under measurement, with the two calls that are measured.
type contender struct {
	name       string
	bulk, list func(context.Context) error
}

// contenders returns ours, the floor, the limit and Clerk's own SDK, in this order.
// The last has no bulk call.
func contenders(tb testing.TB, bulk, list http.RoundTripper, base string) []contender {
	tb.Helper()
	inviting, listing := newOurs(tb, bulk, base), newOurs(tb, list, base)
	byHand := func(name string, newClient func(http.RoundTripper, string) *plain) contender {
		inviting, listing := newClient(bulk, base), newClient(list, base)
		return contender{
			name,
			func(ctx context.Context) error { _, err := inviting.bulk(ctx); return err },
			func(ctx context.Context) error { _, err := listing.list(ctx); return err },
		}
	}
	official := newOfficial(list, base)
	return []contender{
		{
			"clerkorg-go",
			func(ctx context.Context) error {
				_, err := inviting.client.Organizations.CreateInvitationBulk(ctx, organizationID, inviting.params)
				return err
			},
			func(ctx context.Context) error {
				_, err := listing.client.Organizations.ListInvitations(ctx, organizationID, listing.page)
				return err
			},
		},
		byHand("floor", newFloor),
		byHand("limit", newLimit),
		{"clerk-sdk-go", nil, func(ctx context.Context) error {
			_, err := official.List(ctx, &organizationinvitation.ListParams{
				ListParams:     clerk.ListParams{Limit: new(int64(500))},
				OrganizationID: organizationID,
			})
			return err
		}},
	}
}

// ours is the SDK with its two calls' arguments. Its quotas are kept and never spent.
type ours struct {
	client *clerkorg.Client
	params []clerkorg.CreateInvitationParams
	page   *clerkorg.ListInvitationsParams
}

func newOurs(tb testing.TB, transport http.RoundTripper, base string) *ours {
	tb.Helper()
	const limit = 1 << 40
	client, err := clerkorg.NewClient(secretKey,
		clerkorg.WithBaseURL(cmp.Or(base, clerkorg.DefaultBaseURL)),
		clerkorg.WithHTTPClient(&http.Client{Transport: transport}),
		clerkorg.WithRateLimiter(clerkorg.NewTokenBucket()),
		clerkorg.WithQuotas(
			clerkorg.Quota{Name: clerkorg.QuotaBulk, Limit: limit, Window: 1},
			clerkorg.Quota{Name: clerkorg.QuotaInstance, Limit: limit, Window: 1},
		))
	require.NoError(tb, err)
	o := &ours{client: client, page: &clerkorg.ListInvitationsParams{Limit: 500}}
	for _, p := range floorRequest() {
		o.params = append(o.params, clerkorg.CreateInvitationParams{
			EmailAddress:   p.EmailAddress,
			Role:           clerkorg.Role(p.Role),
			InviterUserID:  p.InviterUserID,
			RedirectURL:    p.RedirectURL,
			PublicMetadata: p.PublicMetadata,
			ExpiresInDays:  p.ExpiresInDays,
		})
	}
	return o
}

// newOfficial returns Clerk's own SDK for Go, which has no bulk call.
func newOfficial(transport http.RoundTripper, base string) *organizationinvitation.Client {
	config := &clerk.ClientConfig{}
	config.Key = new(secretKey)
	config.URL = new(cmp.Or(base, clerkorg.DefaultBaseURL))
	config.HTTPClient = &http.Client{Transport: transport}
	return organizationinvitation.NewClient(config)
}

func TestOfficialReadsTheList(t *testing.T) {
	t.Parallel()
	list, err := newOfficial(canned(listAnswer()), "").List(t.Context(), &organizationinvitation.ListParams{OrganizationID: organizationID})
	require.NoError(t, err)
	require.Len(t, list.OrganizationInvitations, 500)
	require.JSONEq(t, string(metadata(499, publicSize)), string(list.OrganizationInvitations[499].PublicMetadata))
}
