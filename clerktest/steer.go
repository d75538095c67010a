package clerktest

import (
	"cmp"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

// mount is a handler for some of the paths of a server.
type mount struct {
	prefixes []string
	handler  http.Handler
}

func (m *mount) has(path string) bool {
	return slices.ContainsFunc(m.prefixes, func(prefix string) bool { return strings.HasPrefix(path, prefix) })
}

// Handle gives the paths that begin with one of the prefixes to handler, in place of the
// API. Latencies, faults and quotas do not concern it. Package desk makes use of it. A
// second call replaces the first.
func (s *Server) Handle(handler http.Handler, prefixes ...string) {
	s.mounts.Store(&mount{slices.Clone(prefixes), handler})
}

// Now is the time by the server's clock.
func (s *Server) Now() time.Time { return s.now() }

// AdvanceClock puts the server's clock forward: invitations expire and quotas come back
// as if the time had passed. Latencies, delays and webhooks are waited for as before. A
// negative duration changes nothing.
func (s *Server) AdvanceClock(by time.Duration) { s.ahead.Add(int64(max(0, by))) }

// Reset puts the server back to how it began, with the same key and ids: one
// organization, its admin, no calls, no faults, fresh quotas with the limits that are in
// force, and the clock that it was given. Webhooks that are on their way are delivered.
func (s *Server) Reset() {
	s.faults.change(func([]*injected) []*injected { return nil })
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ahead.Store(0)
	s.begin()
}

// begin makes what a server has when it begins. The caller holds s.mu, or has the server
// alone.
func (s *Server) begin() {
	s.quotas = s.config.quotas()
	s.calls, s.counts, s.rateLimited = nil, make(map[Operation]int), 0
	s.state = newState(s.random)
	now := s.now()
	o := s.addOrganization(Organization{ID: s.orgID, Name: cmp.Or(s.config.organization, "Test Organization"), MaxAllowedMemberships: s.config.maxMembers}, now)
	admin := s.state.userFor("admin@example.com", now)
	if s.orgID == "" {
		s.orgID, s.adminID = o.id, admin.id // never written again: they are read without a lock
	}
	delete(s.state.users, admin.id)
	admin.id = s.adminID
	s.state.users[admin.id] = admin
	s.state.join(o, admin, roleAdmin, now)
	o.createdBy = admin.id
}

// SetQuota changes the limit of an operation while the server runs, as [WithQuota] sets
// it. It begins to count anew.
func (s *Server) SetQuota(op Operation, limit int, window time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.config.overrides = maps.Clone(s.config.overrides)
	if s.config.unlimited { // the others stay so
		for other := range defaultQuotas(s.config.live) {
			s.config.overrides[other] = quotaRule{}
		}
		s.config.unlimited = false
	}
	WithQuota(op, limit, window)(&s.config)
	if op == QuotaInstance {
		op = OpAny
	}
	if fresh := s.config.quotas()[op]; fresh != nil {
		s.quotas = maps.Clone(s.quotas)
		if s.quotas == nil {
			s.quotas = map[Operation]*quota{}
		}
		s.quotas[op] = fresh
		return
	}
	delete(s.quotas, op)
}

// SetRateLimits changes how the server counts, as [WithRateLimits] sets it. All quotas
// begin to count anew.
func (s *Server) SetRateLimits(window Window) {
	s.mu.Lock()
	defer s.mu.Unlock()
	WithRateLimits(window)(&s.config)
	s.quotas = s.config.quotas()
}

// QuotaStatus is one of the server's quotas at a moment.
type QuotaStatus struct {
	Operation Operation // [QuotaInstance] for that of all calls
	Limit     int
	Window    time.Duration
	Left      int       // requests that would be admitted now
	NextAt    time.Time // when another one is admitted; zero where one is admitted now
	Refused   int       // requests of the operation that any quota has refused; of all calls for that of all
}

// Quotas returns the server's quotas, that of all calls first.
func (s *Server) Quotas() []QuotaStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	refused := map[Operation]int{OpAny: s.rateLimited}
	for _, call := range s.calls {
		if call.Refused {
			refused[call.Operation]++
		}
	}
	rules := s.config.rules()
	var all []QuotaStatus
	for _, op := range slices.Sorted(maps.Keys(s.quotas)) {
		q, rule := s.quotas[op], rules[op]
		status := QuotaStatus{Operation: cmp.Or(op, QuotaInstance), Limit: rule.limit, Window: rule.window, Refused: refused[op]}
		status.Left, status.NextAt = q.left(now, rule.limit)
		all = append(all, status)
	}
	return all
}

// left tries how many requests would be admitted.
func (q *quota) left(now time.Time, limit int) (n int, next time.Time) {
	if now.Before(q.blockedUntil) {
		return 0, q.blockedUntil
	}
	trial := q.algorithm.clone()
	for n < limit {
		ok, wait := trial.allow(now)
		if !ok {
			next = now.Add(wait)
			break
		}
		n++
	}
	if n > 0 {
		next = time.Time{}
	}
	return n, next
}

// Organizations returns the organizations, in the order of their creation.
func (s *Server) Organizations() []Organization {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []Organization
	for _, o := range slices.SortedFunc(maps.Values(s.state.organizations), func(a, b *organization) int {
		return cmp.Compare(a.sequence, b.sequence)
	}) {
		all = append(all, Organization{ID: o.id, Name: o.name, Slug: o.slug, MaxAllowedMemberships: o.maxMemberships})
	}
	return all
}

// Member is a member of an organization, taken at some moment.
type Member struct {
	UserID       string
	EmailAddress string // the primary one
	Role         string
	JoinedAt     time.Time
}

// Members returns the members of an organization, in the order in which they joined;
// none where there is no such organization.
func (s *Server) Members(orgID string) []Member {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.state.organizations[orgID]
	if o == nil {
		return nil
	}
	all := make([]Member, len(o.members))
	for i, m := range o.members {
		all[i] = Member{UserID: m.user.id, EmailAddress: m.user.email(), Role: m.role, JoinedAt: m.created}
	}
	return all
}

// RevokeInvitation revokes a pending invitation, as an administrator does in the
// dashboard. It fails if there is no such invitation or if it is not pending.
func (s *Server) RevokeInvitation(invitationID string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	if application := s.state.applicationInvitation(invitationID); application != nil {
		return s.endApplication(application, statusRevoked, now)
	}
	inv, err := s.pendingInvitation(invitationID, now)
	if err != nil {
		return err
	}
	inv.org.end(inv, statusRevoked, now)
	s.tellInvitation("revoked", inv)
	return nil
}
