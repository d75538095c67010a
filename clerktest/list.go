package clerktest

import (
	"cmp"
	"net/url"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"
)

const (
	defaultLimit = 10
	maxLimit     = 500
	maxFilter    = 100 // values of a repeated filter
)

// page is the part of a list that a call asks for, and its order.
type page struct {
	limit, offset int
	byEmail       bool
	descending    bool
}

func parsePage(q url.Values) (page, *apiError) {
	p := page{limit: defaultLimit, descending: true}
	var err *apiError
	if p.limit, err = number(q, "limit", defaultLimit, 1, maxLimit); err != nil {
		return p, err
	}
	if p.offset, err = number(q, "offset", 0, 0, 1<<31-1); err != nil {
		return p, err
	}
	if order := q.Get("order_by"); order != "" {
		// An unescaped plus is a space by the time it gets here.
		field := strings.TrimLeft(order, "+- ")
		p.descending = order[0] == '-'
		p.byEmail = field == "email_address"
		if len(order)-len(field) > 1 || !p.byEmail && field != "created_at" {
			return p, wrongValue("order_by", "created_at or email_address, after + or - or nothing")
		}
	}
	return p, nil
}

func number(q url.Values, name string, absent, low, high int) (int, *apiError) {
	text := q.Get(name)
	if text == "" {
		return absent, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0, wrongType(name, "an integer")
	}
	if n < low {
		return 0, wrongValue(name, strconv.Itoa(low)+" or more")
	}
	if n > high {
		return 0, paramError("form_param_value_too_large", name, name+" has to be "+strconv.Itoa(high)+" or less.")
	}
	return n, nil
}

// checkFilters refuses a filter that may be repeated and is given too often, and
// an address that [WithUnsearchable] is about.
func (s *Server) checkFilters(q url.Values, names ...string) *apiError {
	for _, name := range names {
		if len(q[name]) > maxFilter {
			return paramError("form_param_array_size_exceeded", name, name+" may be given 100 times at most.")
		}
	}
	return s.checkSearchable(q)
}

func (s *Server) checkSearchable(q url.Values) *apiError {
	if unsearchable := s.config.unsearchable; unsearchable != nil && slices.ContainsFunc(q["email_address"], unsearchable) {
		return wrongFormat("email_address", "an e-mail address")
	}
	return nil
}

// pick returns the page of those elements of all that match, and how many
// match in all. all is in ascending order; it is neither copied nor sorted.
// Without match every element does, and nothing but the page is looked at.
func pick[T any](p page, all []T, match func(T) bool) (wanted []T, total int) {
	at := func(i int) T {
		if p.descending {
			i = len(all) - 1 - i
		}
		return all[i]
	}
	if match == nil {
		for i := p.offset; i < min(p.offset+p.limit, len(all)); i++ {
			wanted = append(wanted, at(i))
		}
		return wanted, len(all)
	}
	for i := range all {
		if !match(at(i)) {
			continue
		}
		if total >= p.offset && len(wanted) < p.limit {
			wanted = append(wanted, at(i))
		}
		total++
	}
	return wanted, total
}

// parseStatuses returns none if every status will do.
func parseStatuses(q url.Values) ([]string, *apiError) {
	for _, status := range q["status"] {
		switch status {
		case statusPending, statusAccepted, statusRevoked, statusExpired:
		default:
			return nil, wrongValue("status", "pending, accepted, revoked or expired")
		}
	}
	return q["status"], nil
}

// list answers OpList.
func (s *Server) list(v *visit) (any, *apiError) {
	p, statuses, err := parseListing(v.query)
	if err != nil {
		return nil, err
	}
	if err := s.checkSearchable(v.query); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	o := s.state.organization(v.route.organization, now)
	if o == nil {
		return nil, notFound("organization")
	}
	from := o.invitations
	if email := v.query.Get("email_address"); email != "" {
		from = o.byAddress[fold(email)]
	}
	wanted, total := s.choose(p, from, statuses, "", now)
	return listJSON[invitationJSON]{s.invitationsJSON(wanted), total}, nil
}

// listInstance answers OpListInstance.
func (s *Server) listInstance(v *visit) (any, *apiError) {
	p, statuses, err := parseListing(v.query)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	for _, o := range s.state.organizations {
		o.expire(now)
	}
	wanted, total := s.choose(p, s.state.all, statuses, fold(v.query.Get("query")), now)
	data := s.invitationsJSON(wanted)
	for i, inv := range wanted {
		data[i].PublicOrganizationData = inv.org.publicJSON()
	}
	return listJSON[invitationJSON]{data, total}, nil
}

func parseListing(q url.Values) (page, []string, *apiError) {
	p, err := parsePage(q)
	if err != nil {
		return p, nil, err
	}
	statuses, err := parseStatuses(q)
	return p, statuses, err
}

// choose returns the page of the invitations, which come oldest first, that
// have one of the statuses and part in their address, and how many there are.
// Simulations page through lists of a hundred thousand, so the default order,
// which is that of creation, needs no sorting. The caller holds s.mu.
func (s *Server) choose(p page, all []*invitation, statuses []string, part string, now time.Time) ([]*invitation, int) {
	all = s.visible(all, now)
	if p.byEmail {
		all = slices.Clone(all)
		slices.SortFunc(all, func(a, b *invitation) int {
			return cmp.Or(cmp.Compare(a.folded, b.folded), cmp.Compare(a.sequence, b.sequence))
		})
	}
	if len(statuses) == 0 && part == "" {
		return pick(p, all, nil)
	}
	return pick(p, all, func(inv *invitation) bool {
		return (len(statuses) == 0 || slices.Contains(statuses, inv.status)) &&
			(part == "" || strings.Contains(inv.folded, part))
	})
}

// visible leaves out the newest invitations for as long as lists lag behind.
func (s *Server) visible(all []*invitation, now time.Time) []*invitation {
	if s.config.listLag == 0 {
		return all
	}
	n := sort.Search(len(all), func(i int) bool {
		return all[i].created.Add(s.config.listLag).After(now)
	})
	return all[:n]
}
