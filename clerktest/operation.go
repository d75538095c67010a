package clerktest

import (
	"net/http"
	"net/url"
	"strings"
)

// Operation names one of the calls the server understands.
type Operation string

// The operations of the server. [OpAny] stands for all of them, and for
// requests that match none.
const (
	OpAny          Operation = ""
	OpBulk         Operation = "invitations.bulk"         // POST /organizations/{id}/invitations/bulk
	OpCreate       Operation = "invitations.create"       // POST /organizations/{id}/invitations
	OpList         Operation = "invitations.list"         // GET /organizations/{id}/invitations
	OpGet          Operation = "invitations.get"          // GET /organizations/{id}/invitations/{invitation_id}
	OpRevoke       Operation = "invitations.revoke"       // POST /organizations/{id}/invitations/{invitation_id}/revoke
	OpListInstance Operation = "instance.invitations"     // GET /organization_invitations
	OpMemberships  Operation = "organization.memberships" // GET /organizations/{id}/memberships
	OpOrganization Operation = "organization.get"         // GET /organizations/{id}

	OpCreateOrganization Operation = "organization.create" // POST /organizations

	OpUsers     Operation = "users.list"  // GET /users
	OpUserCount Operation = "users.count" // GET /users/count
	OpRoles     Operation = "roles.list"  // GET /organization_roles

	OpApplicationBulk   Operation = "application_invitations.bulk"   // POST /invitations/bulk
	OpApplicationCreate Operation = "application_invitations.create" // POST /invitations
	OpApplicationList   Operation = "application_invitations.list"   // GET /invitations
	OpApplicationRevoke Operation = "application_invitations.revoke" // POST /invitations/{invitation_id}/revoke
)

// route is what a method and a path ask for.
type route struct {
	op           Operation
	organization string
	invitation   string
	allow        string // the method the path accepts, when it is not the one used
}

// endpoint is a path pattern: "{org}" and "{inv}" stand for one segment each.
type endpoint struct {
	method  string
	pattern []string
	op      Operation
}

var endpoints = []endpoint{
	// bulk stands before {inv}: an invitation cannot have that id.
	{http.MethodPost, []string{"organizations", "{org}", "invitations", "bulk"}, OpBulk},
	{http.MethodPost, []string{"organizations", "{org}", "invitations"}, OpCreate},
	{http.MethodGet, []string{"organizations", "{org}", "invitations"}, OpList},
	{http.MethodGet, []string{"organizations", "{org}", "invitations", "{inv}"}, OpGet},
	{http.MethodPost, []string{"organizations", "{org}", "invitations", "{inv}", "revoke"}, OpRevoke},
	{http.MethodGet, []string{"organization_invitations"}, OpListInstance},
	{http.MethodGet, []string{"organizations", "{org}", "memberships"}, OpMemberships},
	{http.MethodGet, []string{"organizations", "{org}"}, OpOrganization},
	{http.MethodPost, []string{"organizations"}, OpCreateOrganization},
	{http.MethodGet, []string{"users"}, OpUsers},
	{http.MethodGet, []string{"users", "count"}, OpUserCount},
	{http.MethodGet, []string{"organization_roles"}, OpRoles},
	{http.MethodPost, []string{"invitations", "bulk"}, OpApplicationBulk},
	{http.MethodPost, []string{"invitations"}, OpApplicationCreate},
	{http.MethodGet, []string{"invitations"}, OpApplicationList},
	{http.MethodPost, []string{"invitations", "{inv}", "revoke"}, OpApplicationRevoke},
}

// Operations returns the operations of the server, without [OpAny].
func Operations() []Operation {
	all := make([]Operation, len(endpoints))
	for i, endpoint := range endpoints {
		all[i] = endpoint.op
	}
	return all
}

// resolve finds the operation of a request. A path is split before it is
// unescaped, so that an id with an escaped slash stays one segment.
func resolve(method, escapedPath string) route {
	path := strings.TrimPrefix(escapedPath, "/")
	path = strings.TrimPrefix(path, "v1/")
	segments := strings.Split(path, "/")

	var found route
	for _, e := range endpoints {
		r, ok := e.match(segments)
		if !ok {
			continue
		}
		if e.method == method {
			return r
		}
		if found.allow == "" {
			found.allow = e.method
		} else if !strings.Contains(found.allow, e.method) {
			found.allow += ", " + e.method
		}
	}
	return found
}

func (e endpoint) match(segments []string) (route, bool) {
	if len(segments) != len(e.pattern) {
		return route{}, false
	}
	r := route{op: e.op}
	for i, want := range e.pattern {
		segment, err := url.PathUnescape(segments[i])
		if err != nil || segment == "" {
			return route{}, false
		}
		switch want {
		case "{org}":
			r.organization = segment
		case "{inv}":
			r.invitation = segment
		case segment:
		default:
			return route{}, false
		}
	}
	return r, true
}
