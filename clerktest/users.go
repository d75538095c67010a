package clerktest

import (
	"cmp"
	"net/url"
	"slices"
)

// users answers OpUsers with a bare array. The newest come first unless order_by
// says otherwise; filters Clerk has and this server has not are ignored.
func (s *Server) users(v *visit) (any, *apiError) {
	p, err := parsePage(v.query)
	if err != nil {
		return nil, err
	}
	if err := s.checkFilters(v.query, "email_address", "user_id"); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	found := s.state.usersFor(v.query)
	slices.SortFunc(found, func(a, b *user) int {
		byEmail := 0
		if p.byEmail {
			byEmail = cmp.Compare(fold(a.email()), fold(b.email()))
		}
		return cmp.Or(byEmail, cmp.Compare(a.sequence, b.sequence))
	})
	wanted, _ := pick(p, found, nil)
	data := make([]userJSON, len(wanted))
	for i, u := range wanted {
		data[i] = u.json()
	}
	return data, nil
}

// countJSON is the answer of OpUserCount.
type countJSON struct {
	Object     string `json:"object"`
	TotalCount int    `json:"total_count"`
}

// userCount answers OpUserCount, which the official SDKs ask for beside every list.
func (s *Server) userCount(v *visit) (any, *apiError) {
	if err := s.checkFilters(v.query, "email_address", "user_id"); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return countJSON{"total_count", len(s.state.usersFor(v.query))}, nil
}

// usersFor returns, in a slice of their own, the users that have one of the
// addresses and one of the ids of a query, where no address and no id stand for
// all of them. The caller holds s.mu.
func (st *state) usersFor(q url.Values) []*user {
	addresses, ids := q["email_address"], q["user_id"]
	var found []*user
	add := func(u *user) {
		if u != nil && !slices.Contains(found, u) {
			found = append(found, u)
		}
	}
	switch {
	case len(addresses) > 0:
		for _, email := range addresses {
			add(st.addresses[fold(email)])
		}
		if len(ids) > 0 {
			found = slices.DeleteFunc(found, func(u *user) bool { return !slices.Contains(ids, u.id) })
		}
	case len(ids) > 0:
		for _, id := range ids {
			add(st.users[id])
		}
	default:
		found = slices.Clone(st.everyone)
	}
	return found
}
