package clerktest_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/clerkorg/clerkorg-go/clerktest"
)

const webhookSecret = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="

// received is an event as a receiver sees it.
type received struct {
	ID         string
	At         time.Time
	Type       string
	Object     string
	InstanceID string `json:"instance_id"`
	Timestamp  int64
	Data       map[string]any
}

// receiver verifies what comes, and answers with the next of its statuses, at the
// end always with 204.
type receiver struct {
	t        testing.TB
	secret   string
	statuses []int

	mu  sync.Mutex
	got []received
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	assert.NoError(r.t, err)
	assert.Equal(r.t, http.MethodPost, req.Method)
	assert.Equal(r.t, "/hooks/clerk", req.URL.Path)
	assert.Equal(r.t, "application/json", req.Header.Get("Content-Type"))
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(r.secret, "whsec_"))
	assert.NoError(r.t, err)
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%s.%s", req.Header.Get("Svix-Id"), req.Header.Get("Svix-Timestamp"), body)
	assert.Equal(r.t, "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)), req.Header.Get("Svix-Signature"))
	seconds, err := strconv.ParseInt(req.Header.Get("Svix-Timestamp"), 10, 64)
	assert.NoError(r.t, err)
	event := received{ID: req.Header.Get("Svix-Id"), At: time.Unix(seconds, 0)}
	assert.NoError(r.t, json.Unmarshal(body, &event))

	r.mu.Lock()
	defer r.mu.Unlock()
	r.got = append(r.got, event)
	status := http.StatusNoContent
	if len(r.statuses) > 0 {
		status, r.statuses = r.statuses[0], r.statuses[1:]
	}
	w.WriteHeader(status)
}

// types are those of the events received, without "organization" in front.
func (r *receiver) types() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var types []string
	for _, event := range r.got {
		types = append(types, strings.TrimPrefix(event.Type, "organization"))
	}
	return types
}

func (r *receiver) addresses() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var addresses []string
	for _, event := range r.got {
		address, _ := event.Data["email_address"].(string)
		addresses = append(addresses, address)
	}
	return addresses
}

const hookURL = "https://app.example.com/hooks/clerk"

func inMemoryHook(t *testing.T, r *receiver, opts ...clerktest.WebhookOption) *api {
	t.Helper()
	r.t, r.secret = t, webhookSecret
	return inMemory(t, clerktest.WithWebhook(hookURL, webhookSecret, append(opts, clerktest.WebhookHandler(r))...))
}

func (a *api) invite(addresses ...string) {
	a.t.Helper()
	var items []string
	for _, address := range addresses {
		items = append(items, `{"email_address":"`+address+`","role":"org:member"}`)
	}
	got := a.do(http.MethodPost, "/organizations/"+a.OrganizationID()+"/invitations/bulk", "["+strings.Join(items, ",")+"]")
	require.Equal(a.t, http.StatusOK, got.status, got.body)
}

func TestWebhookEvents(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var r receiver
		a := inMemoryHook(t, &r)
		org := a.OrganizationID()
		a.invite("ada@example.com", "grace@example.com")
		all := a.Invitations(org)
		time.Sleep(time.Second)
		require.NoError(t, a.AcceptInvitation(all[0].ID))
		revoked := a.do(http.MethodPost, "/organizations/"+org+"/invitations/"+all[1].ID+"/revoke", "")
		require.Equal(t, http.StatusOK, revoked.status)
		a.AddMember(org, "mary@example.com", "org:member")
		a.AddMember(org, "mary@example.com", "org:member") // is one already
		a.AddInvitation(org, "joan@example.com", "org:admin")
		a.AddInvitation(org, "joan@example.com", "org:admin") // is invited already
		refused := a.do(http.MethodPost, "/organizations/"+org+"/invitations", `{"email_address":"mary@example.com","role":"org:member"}`)
		require.Equal(t, http.StatusBadRequest, refused.status)
		require.NoError(t, a.WaitForWebhooks(t.Context()))

		assert.Equal(t, []string{
			"Invitation.created", "Invitation.created", "Invitation.accepted", "Membership.created",
			"Invitation.revoked", "Membership.created", "Invitation.created",
		}, r.types())
		ids := map[string]bool{}
		for _, event := range r.got {
			assert.Regexp(t, `^msg_\w{27}$`, event.ID)
			assert.Regexp(t, `^ins_\w{27}$`, event.InstanceID)
			assert.Equal(t, "event", event.Object)
			ids[event.ID] = true
		}
		assert.Len(t, ids, len(r.got))
		assert.Equal(t, all[0].ID, r.got[0].Data["id"])
		assert.Equal(t, "pending", r.got[0].Data["status"])
		assert.NotContains(t, r.got[0].Data, "user_id")
		assert.Equal(t, all[0].CreatedAt.UnixMilli(), r.got[0].Timestamp)

		accepted, membership := r.got[2].Data, r.got[3].Data
		assert.Equal(t, "accepted", accepted["status"])
		assert.Regexp(t, `^user_`, accepted["user_id"])
		assert.Equal(t, all[0].CreatedAt.UnixMilli()+1000, r.got[2].Timestamp)
		assert.Equal(t, accepted["user_id"], membership["public_user_data"].(map[string]any)["user_id"])
		organization := membership["organization"].(map[string]any)
		assert.Equal(t, org, organization["id"])
		assert.EqualValues(t, 2, organization["members_count"])
		assert.EqualValues(t, 1, organization["pending_invitations_count"])
		assert.Equal(t, "revoked", r.got[4].Data["status"])
		assert.Equal(t, all[1].ID, r.got[4].Data["id"])
	})
}

// What half a bulk call creates has its events as well.
func TestWebhookPartialBulk(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := &receiver{t: t, secret: webhookSecret}
		a := inMemory(t, clerktest.WithPartialBulk(true), clerktest.WithWebhook(hookURL, webhookSecret, clerktest.WebhookHandler(r)))
		got := a.do(http.MethodPost, "/organizations/"+a.OrganizationID()+"/invitations/bulk",
			`[{"email_address":"ada@example.com","role":"org:member"},{"email_address":"admin@example.com","role":"org:member"}]`)
		require.Equal(t, http.StatusBadRequest, got.status)
		synctest.Wait()
		assert.Equal(t, []string{"ada@example.com"}, r.addresses())
	})
}

func TestWebhookOptions(t *testing.T) {
	t.Parallel()
	delays := []time.Duration{3 * time.Second, time.Second, 2 * time.Second}
	for name, test := range map[string]struct {
		opts     []clerktest.WebhookOption
		statuses []int
		want     string
		took     time.Duration
	}{
		"plain":      {nil, nil, "a b c", 0},
		"duplicates": {[]clerktest.WebhookOption{clerktest.WebhookDuplicates(1), clerktest.WebhookDelay(func() time.Duration { return time.Second })}, nil, "a b c a b c", time.Second},
		"reorder":    {[]clerktest.WebhookOption{clerktest.WebhookReorder(time.Minute)}, nil, "c b a", time.Minute},
		"delay": {[]clerktest.WebhookOption{clerktest.WebhookDelay(func() time.Duration {
			d := delays[0]
			delays = delays[1:]
			return d
		})}, nil, "b c a", 3 * time.Second},
		"drops":         {[]clerktest.WebhookOption{clerktest.WebhookDrops(2)}, nil, "a b c", 5*time.Minute + 5*time.Second},
		"failures":      {nil, []int{500, 204, 302}, "a b c a c", 5 * time.Second},
		"bad signature": {nil, []int{204, 400}, "a b c b", 5 * time.Second},
		"given up":      {[]clerktest.WebhookOption{clerktest.WebhookRetries(time.Second)}, []int{500, 500, 500, 500}, "a b c a b c", time.Second},
		"no retries":    {[]clerktest.WebhookOption{clerktest.WebhookRetries(), clerktest.WebhookDrops(1)}, nil, "", 0},
		"all": {[]clerktest.WebhookOption{
			clerktest.WebhookDuplicates(1), clerktest.WebhookDrops(1), clerktest.WebhookReorder(time.Second), clerktest.WebhookRetries(time.Minute), nil,
		}, nil, "c b a c b a", time.Minute + time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := receiver{statuses: test.statuses}
				a := inMemoryHook(t, &r, test.opts...)
				start := time.Now()
				a.invite("a@example.com", "b@example.com", "c@example.com")
				require.NoError(t, a.WaitForWebhooks(t.Context()))
				assert.Equal(t, test.took, time.Since(start))
				assert.Equal(t, test.want, strings.ReplaceAll(strings.Join(r.addresses(), " "), "@example.com", ""))
				attempts := map[string]int{}
				for _, d := range a.Deliveries() {
					attempts[d.EventID]++
					assert.Equal(t, attempts[d.EventID], d.Attempt)
				}
				assert.Len(t, attempts, 3)
				for _, event := range r.got {
					assert.WithinDuration(t, start, event.At, test.took+time.Second, "each attempt is signed at its own time")
				}
			})
		})
	}
}

// A receiver that does not answer in time, or panics, is tried again.
func TestWebhookBrokenReceivers(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		broken http.HandlerFunc
		want   string
		took   time.Duration
	}{
		"slow": {func(w http.ResponseWriter, _ *http.Request) {
			time.Sleep(20 * time.Second)
			w.WriteHeader(http.StatusNoContent)
		}, "not answered in time", 20 * time.Second},
		"panic": {func(http.ResponseWriter, *http.Request) { panic("out of order") }, "panicked: out of order", 5 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var calls atomic.Int32 // two at a time, where the first is slow
				a := inMemory(t, clerktest.WithWebhook(hookURL, "", clerktest.WebhookHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if calls.Add(1) == 1 {
						test.broken(w, r)
						return
					}
					_, _ = io.WriteString(w, "fine") // without a status
				}))))
				start := time.Now()
				a.invite("a@example.com")
				require.NoError(t, a.WaitForWebhooks(t.Context()))
				assert.Equal(t, test.took, time.Since(start))
				got := a.Deliveries()
				require.Len(t, got, 2)
				assert.ErrorContains(t, got[0].Err, test.want)
				assert.Equal(t, clerktest.Delivery{
					Time: got[1].Time, EventID: got[0].EventID, Type: "organizationInvitation.created", Attempt: 2, Status: 200,
				}, got[1])
			})
		})
	}
}

// A wrong clock of the server shows in what it signs.
func TestWebhookClock(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := &receiver{t: t, secret: webhookSecret}
		off := func() time.Time { return time.Now().Add(-time.Hour) }
		a := inMemory(t, clerktest.WithClock(off), clerktest.WithWebhook(hookURL, webhookSecret, clerktest.WebhookHandler(r)))
		a.invite("a@example.com")
		synctest.Wait()
		require.Len(t, r.got, 1)
		assert.Equal(t, off().Unix(), r.got[0].At.Unix())
	})
}

func TestWebhookOverLoopback(t *testing.T) {
	t.Parallel()
	r := &receiver{t: t, statuses: []int{503}}
	target := httptest.NewServer(r)
	defer target.Close()
	a := overLoopback(t, clerktest.WithWebhook(target.URL+"/hooks/clerk", "", clerktest.WebhookRetries(time.Millisecond)))
	r.secret = a.WebhookSecret()
	assert.Regexp(t, `^whsec_.{32}$`, r.secret)
	a.invite("a@example.com")
	require.NoError(t, a.WaitForWebhooks(t.Context()))
	assert.Equal(t, []string{"a@example.com", "a@example.com"}, r.addresses())

	target.Close()
	a.invite("b@example.com")
	require.NoError(t, a.WaitForWebhooks(t.Context()))
	last := a.Deliveries()[3]
	assert.Error(t, last.Err)
	assert.Zero(t, last.Status)
}

func TestWebhookClose(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var r receiver
		a := inMemoryHook(t, &r, clerktest.WebhookDelay(func() time.Duration { return time.Minute }))
		a.invite("a@example.com")
		soon, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		assert.ErrorIs(t, a.WaitForWebhooks(soon), context.DeadlineExceeded)
		a.Close()
		assert.NoError(t, a.WaitForWebhooks(t.Context()))
		time.Sleep(time.Hour)
		assert.Empty(t, r.got)
		assert.Empty(t, a.Deliveries())
	})
}

func TestWithoutWebhook(t *testing.T) {
	t.Parallel()
	a := inMemory(t)
	a.invite("a@example.com")
	assert.NoError(t, a.WaitForWebhooks(t.Context()))
	assert.Empty(t, a.Deliveries())
	assert.Empty(t, a.WebhookSecret())
	for _, secret := range []string{"whsec_", "whsec_???", "sk_test_x", "AAAA", webhookSecret + "\r"} {
		assert.PanicsWithValue(t, "clerktest: WithWebhook: the secret must be whsec_ and standard base64", func() { clerktest.WithWebhook(hookURL, secret) })
	}
}
