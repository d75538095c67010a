package clerktest

import (
	"container/heap"
	"encoding/json"
	"slices"
	"strings"
	"time"
)

// The states of an invitation.
const (
	statusPending  = "pending"
	statusAccepted = "accepted"
	statusRevoked  = "revoked"
	statusExpired  = "expired"
)

// roleAdmin is the role whose members may invite.
const roleAdmin = "org:admin"

// state is everything the server knows. The caller of any method holds s.mu.
type state struct {
	random        *randomness
	organizations map[string]*organization // by id
	slugs         map[string]*organization
	roles         map[string]string // name by key
	users         map[string]*user  // by id
	everyone      []*user           // oldest first
	addresses     map[string]*user  // by folded address
	invitations   map[string]*invitation
	all           []*invitation // of every organization, oldest first

	applications []*applicationInvitation // oldest first
}

type user struct {
	sequence  int // in order of creation, for stable sorting
	id        string
	addresses []address // the primary one first; never empty

	created, updated time.Time
}

// email is the primary address, by which Clerk's lists show a user.
func (u *user) email() string { return u.addresses[0].email }

// has tells whether part, which is folded, is within an address or the id.
func (u *user) has(part string) bool {
	return strings.Contains(fold(u.id), part) ||
		slices.ContainsFunc(u.addresses, func(a address) bool { return strings.Contains(fold(a.email), part) })
}

type address struct {
	id    string
	email string
}

type organization struct {
	sequence       int // in order of creation
	id, name, slug string
	maxMemberships int // 0: no limit
	createdBy      string
	created        time.Time
	members        []*member // oldest first
	memberByUser   map[string]*member
	invitations    []*invitation            // oldest first
	byAddress      map[string][]*invitation // by folded address, oldest first
	expiries       expiries                 // of pending invitations, and of some that no longer are
	pending        int
	timesInvited   map[string]int // by folded address; API calls only

	publicMetadata, privateMetadata json.RawMessage
}

type member struct {
	sequence int // in order of joining, for stable sorting
	id       string
	user     *user
	org      *organization
	role     string
	created  time.Time

	publicMetadata, privateMetadata json.RawMessage
}

type invitation struct {
	sequence int // in order of creation, for stable sorting
	id       string
	org      *organization
	email    string
	folded   string
	role     string
	inviter  *user // nil if none
	status   string
	redirect string
	notify   bool
	ticket   string
	byAPI    bool

	publicMetadata, privateMetadata json.RawMessage

	created, updated, expires time.Time
}

// fold is how addresses are compared.
func fold(email string) string { return strings.ToLower(email) }

func newState(r *randomness) *state {
	return &state{
		random:        r,
		organizations: make(map[string]*organization),
		slugs:         make(map[string]*organization),
		roles:         map[string]string{roleAdmin: "Admin", "org:member": "Member"},
		users:         make(map[string]*user),
		addresses:     make(map[string]*user),
		invitations:   make(map[string]*invitation),
	}
}

// organization finds one by its id and brings it up to date.
func (st *state) organization(id string, now time.Time) *organization {
	o := st.organizations[id]
	if o != nil {
		o.expire(now)
	}
	return o
}

// userFor finds or makes the user with an address.
func (st *state) userFor(email string, now time.Time) *user {
	if u := st.addresses[fold(email)]; u != nil {
		return u
	}
	u := &user{sequence: len(st.everyone), id: st.random.id("user_"), created: now}
	st.users[u.id] = u
	st.everyone = append(st.everyone, u)
	st.addAddress(u, email, now)
	return u
}

// addAddress gives a user an address that has to be free.
func (st *state) addAddress(u *user, email string, now time.Time) {
	u.addresses = append(u.addresses, address{st.random.id("idn_"), email})
	u.updated = now
	st.addresses[fold(email)] = u
}

// memberWith returns the member who has a folded address, or nil.
func (st *state) memberWith(o *organization, folded string) *member {
	u := st.addresses[folded]
	if u == nil {
		return nil
	}
	return o.memberByUser[u.id]
}

// join makes a user a member, or returns the member that is there already.
func (st *state) join(o *organization, u *user, role string, now time.Time) *member {
	if m := o.memberByUser[u.id]; m != nil {
		return m
	}
	m := &member{sequence: len(o.members), id: st.random.id("orgmem_"), user: u, org: o, role: role, created: now}
	o.members = append(o.members, m)
	o.memberByUser[u.id] = m
	return m
}

// add puts a new pending invitation into the organization of which it says it
// is part, which has to have no other pending one for the address.
func (st *state) add(inv *invitation) {
	inv.sequence = len(st.all)
	inv.id = st.random.id("orginv_")
	inv.ticket = st.random.id("ticket_")
	inv.status = statusPending

	o := inv.org
	st.all = append(st.all, inv)
	st.invitations[inv.id] = inv
	o.invitations = append(o.invitations, inv)
	o.byAddress[inv.folded] = append(o.byAddress[inv.folded], inv)
	o.pending++
	heap.Push(&o.expiries, expiry{inv.expires, inv})
}

// pendingFor returns the pending invitation for a folded address, or nil.
// Only the newest one can be pending.
func (o *organization) pendingFor(folded string) *invitation {
	known := o.byAddress[folded]
	if len(known) == 0 {
		return nil
	}
	if last := known[len(known)-1]; last.status == statusPending {
		return last
	}
	return nil
}

// end takes an invitation out of the pending ones.
func (o *organization) end(inv *invitation, status string, at time.Time) {
	inv.status, inv.updated = status, at
	o.pending--
}

// expire ends the invitations whose time is over.
func (o *organization) expire(now time.Time) {
	for len(o.expiries) > 0 && !o.expiries[0].at.After(now) {
		due := heap.Pop(&o.expiries).(expiry)
		if due.inv.status == statusPending {
			o.end(due.inv, statusExpired, due.at)
		}
	}
}

// expiry is a moment at which an invitation expires if it is still pending.
type expiry struct {
	at  time.Time
	inv *invitation
}

// expiries is a heap for container/heap, the next one on top.
type expiries []expiry

func (e expiries) Len() int           { return len(e) }
func (e expiries) Less(i, j int) bool { return e[i].at.Before(e[j].at) }
func (e expiries) Swap(i, j int)      { e[i], e[j] = e[j], e[i] }

// Push appends an element.
func (e *expiries) Push(x any) { *e = append(*e, x.(expiry)) }

// Pop removes the last element.
func (e *expiries) Pop() any {
	old := *e
	last := old[len(old)-1]
	old[len(old)-1] = expiry{}
	*e = old[:len(old)-1]
	return last
}
