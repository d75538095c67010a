package clerktest

import (
	"context"
	cryptorand "crypto/rand"
	"encoding/base64"
	"net/http"
	"slices"
	"strings"
	"time"
)

// WithWebhook delivers an event to url for all that happens to invitations and
// memberships, signed with secret ("whsec_" and base64) as Clerk's deliveries are,
// by the server's clock:
//
//   - organizationInvitation.created, .accepted and .revoked
//   - organizationMembership.created
//
// Each event is delivered until an attempt is answered with a 2xx status within
// 15 s: at once, then as [WebhookRetries] says. First attempts are made one after
// another, in the order of what happened, unless an option says otherwise. Clerk
// promises no order, and delivers some events more than once: the options do so too. An
// expiry causes no event, nor does what is there when the server is returned.
//
// With an empty secret the server makes up one: see [Server.WebhookSecret].
// WithWebhook panics if the secret has another form.
func WithWebhook(url, secret string, opts ...WebhookOption) Option {
	w := &webhookConfig{url: url, secret: secret, retries: defaultRetries}
	if secret != "" {
		encoded, ok := strings.CutPrefix(secret, "whsec_")
		key, err := base64.StdEncoding.DecodeString(encoded)
		if !ok || err != nil || len(key) == 0 || strings.ContainsAny(secret, "\r\n") { // which decoding skips
			panic("clerktest: WithWebhook: the secret must be whsec_ and standard base64")
		}
		w.key = key
	}
	for _, opt := range opts {
		if opt != nil {
			opt(w)
		}
	}
	return func(c *config) { c.webhook = w }
}

// WebhookOption changes how a server delivers events.
type WebhookOption func(*webhookConfig)

// webhookConfig is what the options of a webhook add up to.
type webhookConfig struct {
	url, secret string
	key         []byte
	handler     http.Handler // nil: over the network
	duplicates  int
	drops       int
	reorder     time.Duration
	delay       func() time.Duration
	retries     []time.Duration
}

// defaultRetries is how long Svix waits after each attempt that failed.
var defaultRetries = []time.Duration{
	5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour, 10 * time.Hour, 10 * time.Hour,
}

// WebhookHandler hands the requests to handler in memory, in place of sending them to
// the URL, which they name all the same. It is what a testing/synctest bubble needs.
func WebhookHandler(handler http.Handler) WebhookOption {
	return func(w *webhookConfig) { w.handler = handler }
}

// WebhookDuplicates delivers each event n more times after it was accepted.
func WebhookDuplicates(n int) WebhookOption {
	return func(w *webhookConfig) { w.duplicates = max(0, n) }
}

// WebhookDrops loses the first n attempts of each event on the way. The server takes
// them for failed and tries again.
func WebhookDrops(n int) WebhookOption {
	return func(w *webhookConfig) { w.drops = max(0, n) }
}

// WebhookReorder collects events until within has passed since the first of them, and
// delivers the newest one first.
func WebhookReorder(within time.Duration) WebhookOption {
	return func(w *webhookConfig) { w.reorder = max(0, within) }
}

// WebhookDelay waits before the first attempt of each event for as long as the
// function says. An event with a long delay does not hold up the others. The function
// must not call the server; calls of it do not overlap.
func WebhookDelay(delay func() time.Duration) WebhookOption {
	return func(w *webhookConfig) { w.delay = delay }
}

// WebhookRetries sets how long to wait after each attempt of an event that failed;
// after as many retries, the server gives up. The default is that of Svix: 5 s, 5 min,
// 30 min, 2 h, 5 h, 10 h, 10 h.
func WebhookRetries(waits ...time.Duration) WebhookOption {
	waits = slices.Clone(waits)
	return func(w *webhookConfig) { w.retries = waits }
}

// Delivery is one attempt to deliver an event.
type Delivery struct {
	Time    time.Time // when it began
	EventID string    // as in the header svix-id, the same for all attempts
	Type    string    // such as "organizationInvitation.created"
	Attempt int       // from 1
	Status  int       // 0 where no answer came
	Err     error     // why none came; nil where [WebhookDrops] has lost it
}

// Deliveries returns the attempts to deliver events, in the order in which they ended.
func (s *Server) Deliveries() []Delivery {
	if s.webhooks == nil {
		return nil
	}
	s.webhooks.mu.Lock()
	defer s.webhooks.mu.Unlock()
	return slices.Clone(s.webhooks.log)
}

// WebhookSecret returns the secret that deliveries are signed with. It is empty
// without [WithWebhook].
func (s *Server) WebhookSecret() string {
	if s.webhooks == nil {
		return ""
	}
	return s.webhooks.secret
}

// WaitForWebhooks waits until each event there is was delivered as often as it is to
// be, or given up, or the server is closed. Its error is that of ctx.
func (s *Server) WaitForWebhooks(ctx context.Context) error {
	if s.webhooks == nil {
		return nil
	}
	select {
	case <-s.webhooks.whenIdle():
		return nil
	case <-s.webhooks.closing.Done():
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// newWebhookKey ignores the seed, as [newSecretKey] does.
func newWebhookKey() []byte {
	key := make([]byte, 24)
	_, _ = cryptorand.Read(key) // never fails
	return key
}

type eventJSON struct {
	Data       any    `json:"data"`
	InstanceID string `json:"instance_id"`
	Object     string `json:"object"`
	Timestamp  int64  `json:"timestamp"`
	Type       string `json:"type"`
}

type acceptedJSON struct {
	invitationJSON
	UserID string `json:"user_id"`
}

// The caller of any of the following holds s.mu.

func (s *Server) tellInvitation(happened string, inv *invitation) {
	if s.webhooks != nil {
		s.tell("organizationInvitation."+happened, s.invitationJSON(inv), inv.updated)
	}
}

func (s *Server) tellAccepted(inv *invitation, u *user) {
	if s.webhooks != nil {
		s.tell("organizationInvitation.accepted", acceptedJSON{s.invitationJSON(inv), u.id}, inv.updated)
	}
}

func (s *Server) tellJoined(m *member) {
	if s.webhooks == nil {
		return
	}
	data := s.membershipJSON(m)
	data.Organization.MembersCount = new(len(m.org.members))
	data.Organization.PendingInvitationsCount = new(m.org.pending)
	s.tell("organizationMembership.created", data, m.created)
}

func (s *Server) tell(event string, data any, at time.Time) {
	s.webhooks.add(&message{
		id:   s.random.id("msg_"),
		kind: event,
		body: encode(eventJSON{data, s.webhooks.instanceID, "event", millis(at), event}),
	})
}
