// Package desk steers a clerktest.Server over HTTP, and shows it in a browser.
//
//	server := clerktest.NewServer()
//	defer server.Close()
//	fmt.Println(desk.Attach(server).URL())
//
// The page has an inbox with the e-mails of all invitations, the members, the quotas, the
// last calls and switches for faults, and moves while calls come in. Programs in any
// language use the paths below /_clerktest/, with JSON:
//
//	GET    /healthz
//	GET    /_clerktest/state
//	POST   /_clerktest/reset
//	POST   /_clerktest/organizations               {"name", "slug", "max_allowed_memberships"}
//	POST   /_clerktest/members                     {"organization_id", "email_address", "role"}
//	POST   /_clerktest/invitations                 {"organization_id", "email_address", "role"}
//	POST   /_clerktest/invitations/{id}/accept     or expire, or revoke
//	POST   /_clerktest/faults                      {"operation", "kind", "status", "code", "retry_after", "delay", "calls", "probability", "count"}
//	DELETE /_clerktest/faults/{id}                 or all of them, without an id
//	POST   /_clerktest/quotas                      {"operation", "limit", "window"} or {"counting"}
//	POST   /_clerktest/clock                       {"advance"}
//
// organization_id is that of the default organization where it is left out. Durations are
// texts, as "90s". Errors have Clerk's shape, and name the field in meta.param_name.
//
// Only this machine is served, unless [Anywhere] says otherwise, and only under its
// addresses or localhost, so that no other name can be made to lead here. Forms carry a
// token, and requests from pages of other sites are refused.
package desk

import (
	"crypto/rand"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"

	"github.com/clerkorg/clerkorg-go/clerktest"
)

const root = "/_clerktest/"

// Desk is the page and the steering of one server.
type Desk struct {
	server   *clerktest.Server
	anywhere bool
	token    string // of the page's forms
	handler  http.Handler

	mu     sync.Mutex
	faults []*fault // in the order in which they were added
	lastID int
}

// Option changes how a desk is attached.
type Option func(*Desk)

// Anywhere serves other machines too. They can read the secret key of the server, and
// change all that it holds.
func Anywhere() Option { return func(d *Desk) { d.anywhere = true } }

// Attach adds the desk to a server. A server has one at most: a second takes the place of
// the first.
func Attach(server *clerktest.Server, opts ...Option) *Desk {
	d := &Desk{server: server, token: rand.Text()}
	for _, opt := range opts {
		opt(d)
	}
	mux := http.NewServeMux()
	d.steering(mux)
	d.page(mux)
	d.handler = d.guard(http.NewCrossOriginProtection().Handler(mux))
	server.Handle(d.handler, root, strings.TrimSuffix(root, "/"), "/healthz")
	return d
}

// URL is that of the page. The server starts to listen, if it does not yet.
func (d *Desk) URL() string { return d.server.URL() + root }

// ServeHTTP answers the paths of the desk.
func (d *Desk) ServeHTTP(w http.ResponseWriter, r *http.Request) { d.handler.ServeHTTP(w, r) }

// guard refuses requests from elsewhere, and those for another name.
func (d *Desk) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Cache-Control", "no-store")
		header.Set("X-Content-Type-Options", "nosniff")
		switch {
		case !d.anywhere && !isLoopback(hostOf(r.RemoteAddr)):
			refuse(w, http.StatusForbidden, "not_allowed_access", "", "This server is for its own machine.")
		case !isAddress(hostOf(r.Host)):
			refuse(w, http.StatusMisdirectedRequest, "bad_request", "", "This server has no name: use its address, or localhost.")
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// hostOf is the host of an address with or without a port.
func hostOf(address string) string {
	if host, _, err := net.SplitHostPort(address); err == nil {
		return host
	}
	return strings.Trim(address, "[]")
}

func isLoopback(host string) bool {
	address, err := netip.ParseAddr(host)
	return err == nil && address.Unmap().IsLoopback()
}

// isAddress reports whether a host is an address, or localhost: any other name can be made
// to lead here by its owner.
func isAddress(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil || strings.EqualFold(host, "localhost")
}
