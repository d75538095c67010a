package desk

import (
	"cmp"
	"encoding/json"
	"slices"
	"time"

	"github.com/clerkorg/clerkorg-go/clerktest"
)

// How many of the newest are shown.
const (
	mostCalls       = 50
	mostDeliveries  = 10
	mostInvitations = 200
)

// state is what GET state answers and the page shows.
type state struct {
	URL            string         `json:"url"`
	SecretKey      string         `json:"secret_key"`
	OrganizationID string         `json:"organization_id"`
	AdminUserID    string         `json:"admin_user_id"`
	Now            time.Time      `json:"now"`
	Organizations  []organization `json:"organizations"`
	Application    []invitation   `json:"application_invitations"` // to sign up, the newest first
	Quotas         []quota        `json:"quotas"`
	RateLimited    int            `json:"rate_limited"` // calls that a quota has refused
	CallCount      int            `json:"call_count"`
	Calls          []call         `json:"calls"` // the newest first
	Faults         []fault        `json:"faults"`
	WebhookSecret  string         `json:"webhook_secret,omitempty"`
	Deliveries     []delivery     `json:"deliveries"` // of webhooks, the newest first
}

type organization struct {
	ID          string       `json:"id"`
	Name        string       `json:"name"`
	Slug        string       `json:"slug"`
	Members     []member     `json:"members"`
	Pending     int          `json:"pending"`
	Invitations []invitation `json:"invitations"` // the newest first, at most 200
}

type member struct {
	UserID       string    `json:"user_id"`
	EmailAddress string    `json:"email_address"`
	Role         string    `json:"role"`
	JoinedAt     time.Time `json:"joined_at"`
}

type invitation struct {
	ID             string          `json:"id"`
	EmailAddress   string          `json:"email_address"`
	Role           string          `json:"role,omitempty"`
	Status         string          `json:"status"`
	Notify         bool            `json:"notify"`
	RedirectURL    string          `json:"redirect_url,omitempty"`
	PublicMetadata json.RawMessage `json:"public_metadata"`
	CreatedAt      time.Time       `json:"created_at"`
	ExpiresAt      time.Time       `json:"expires_at"`

	Organization string `json:"-"` // its name, for the e-mail
}

type quota struct {
	Operation clerktest.Operation `json:"operation"`
	Limit     int                 `json:"limit"`
	Window    string              `json:"window"`
	Used      int                 `json:"used"`
	Left      int                 `json:"left"`
	NextAt    *time.Time          `json:"next_at"` // null where a call is admitted now
	Refused   int                 `json:"refused"`
}

type call struct {
	Time      time.Time           `json:"time"`
	Operation clerktest.Operation `json:"operation"`
	Method    string              `json:"method"`
	Path      string              `json:"path"`
	Status    int                 `json:"status"`
	Code      string              `json:"code,omitempty"`
	Duration  float64             `json:"duration_ms"`
	Invited   int                 `json:"invited"`
}

type delivery struct {
	Time    time.Time `json:"time"`
	EventID string    `json:"event_id"`
	Type    string    `json:"type"`
	Attempt int       `json:"attempt"`
	Status  int       `json:"status"`
}

func (d *Desk) state() state {
	s := d.server
	now := state{
		URL:            s.URL(),
		SecretKey:      s.SecretKey(),
		OrganizationID: s.OrganizationID(),
		AdminUserID:    s.AdminUserID(),
		Now:            s.Now(),
		RateLimited:    s.RateLimited(),
		WebhookSecret:  s.WebhookSecret(),
		Organizations:  []organization{},
		Application:    mails(s.ApplicationInvitations(), ""),
		Quotas:         []quota{},
		Calls:          []call{},
		Faults:         d.activeFaults(),
		Deliveries:     []delivery{},
	}
	for _, o := range s.Organizations() {
		now.Organizations = append(now.Organizations, d.organization(o))
	}
	quotas := s.Quotas()
	slices.SortStableFunc(quotas, func(a, b clerktest.QuotaStatus) int { return cmp.Compare(rank(a.Operation), rank(b.Operation)) })
	for _, q := range quotas {
		shown := quota{Operation: q.Operation, Limit: q.Limit, Window: q.Window.String(), Used: q.Limit - q.Left, Left: q.Left, Refused: q.Refused}
		if !q.NextAt.IsZero() {
			shown.NextAt = &q.NextAt
		}
		now.Quotas = append(now.Quotas, shown)
	}
	calls := s.Calls()
	now.CallCount = len(calls)
	for _, c := range newest(calls, mostCalls) {
		now.Calls = append(now.Calls, call{c.Time, c.Operation, c.Method, c.Path, c.Status, c.Code, float64(c.Duration.Microseconds()) / 1000, c.Invited})
	}
	for _, one := range newest(s.Deliveries(), mostDeliveries) {
		now.Deliveries = append(now.Deliveries, delivery{one.Time, one.EventID, one.Type, one.Attempt, one.Status})
	}
	return now
}

// rank is the place of a quota: those that fill first come first.
func rank(op clerktest.Operation) int {
	order := []clerktest.Operation{clerktest.QuotaInstance, clerktest.OpBulk, clerktest.OpCreate, clerktest.OpApplicationBulk, clerktest.OpApplicationCreate}
	if i := slices.Index(order, op); i >= 0 {
		return i
	}
	return len(order)
}

func (d *Desk) organization(o clerktest.Organization) organization {
	shown := organization{ID: o.ID, Name: o.Name, Slug: o.Slug, Members: []member{}, Invitations: []invitation{}}
	for _, m := range d.server.Members(o.ID) {
		shown.Members = append(shown.Members, member(m))
	}
	invitations := d.server.Invitations(o.ID)
	for i := range invitations {
		if invitations[i].Status == "pending" {
			shown.Pending++
		}
	}
	shown.Invitations = mails(invitations, o.Name)
	return shown
}

// mails are the newest invitations of an organization with that name.
func mails(invitations []clerktest.Invitation, organization string) []invitation {
	shown := []invitation{}
	for _, inv := range newest(invitations, mostInvitations) {
		shown = append(shown, invitation{
			ID: inv.ID, EmailAddress: inv.EmailAddress, Role: inv.Role, Status: inv.Status, Notify: inv.Notify, RedirectURL: inv.RedirectURL,
			PublicMetadata: inv.PublicMetadata, CreatedAt: inv.CreatedAt, ExpiresAt: inv.ExpiresAt, Organization: organization,
		})
	}
	return shown
}

// newest returns the last n of a list, the last one first.
func newest[T any](all []T, n int) []T {
	last := slices.Clone(all[max(0, len(all)-n):])
	slices.Reverse(last)
	return last
}
