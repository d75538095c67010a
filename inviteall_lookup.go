package clerkorg

import (
	"context"
	"hash/maphash"
	"slices"
	"time"
)

// personKey stands for an address: 128 bits of hash are a tenth of what addresses
// take, and two alike in a million of them are out of the question.
type personKey [2]uint64

// onServer is the index of an address that no input has claimed yet: the server
// has an invitation of it.
const onServer = -1

// maxRecalled is how many bytes of invitations are kept to be given back. Others
// are looked up one by one when an input turns out to have one.
const maxRecalled = 32 << 20

// people is what a run remembers: one small entry for every address.
type people struct {
	seeds    [2]maphash.Seed
	first    map[personKey]int // the input that has the address, or onServer
	recalled map[personKey]*OrganizationInvitation
	size     int // of recalled, in bytes, about
}

func newPeople() people {
	return people{
		seeds:    [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()},
		first:    map[personKey]int{},
		recalled: map[personKey]*OrganizationInvitation{},
	}
}

func (p *people) key(address string) personKey {
	address = AddressKey(address)
	return personKey{maphash.String(p.seeds[0], address), maphash.String(p.seeds[1], address)}
}

// claim makes an input the first with its address, unless another one is, or the
// server knew it before.
func (p *people) claim(key personKey, index int) (first int, known bool) {
	if first, known = p.first[key]; !known {
		p.first[key] = index
	}
	return first, known
}

// own makes an input the first with an address that the server knew.
func (p *people) own(key personKey, index int) { p.first[key] = index }

// remember notes that the server has an invitation. Of several the first told,
// which is the newest, is kept.
func (p *people) remember(invitation *OrganizationInvitation) {
	key := p.key(invitation.EmailAddress)
	if _, known := p.first[key]; known {
		return
	}
	p.first[key] = onServer
	size := 600 + len(invitation.PublicMetadata) + len(invitation.PrivateMetadata) + len(invitation.URL)
	if p.size+size <= maxRecalled {
		p.size += size
		p.recalled[key] = invitation
	}
}

// recall gives the invitation of an address back, if it was kept.
func (p *people) recall(key personKey) *OrganizationInvitation { return p.recalled[key] }

// readServer has a first look at the server: who has an invitation, and which
// calls of the last hour a limiter that has just come to life must count.
func (r *inviteRun) readServer() {
	wait := r.reads.backoff()
	r.start(func() func() {
		sleep(r.ctx, wait)
		err := r.readPeople(r.ctx)
		if err == nil {
			err = r.seedQuotas(r.ctx)
		}
		return func() {
			if err == nil {
				r.ready = true
				r.reads.ok()
			} else if r.readFailed(err) {
				r.readServer()
			}
		}
	})
}

func (r *inviteRun) readPeople(ctx context.Context) error {
	orgs := r.reader.Organizations
	pending := &ListInvitationsParams{Status: []InvitationStatus{InvitationPending}}
	for invitation, err := range orgs.Invitations(ctx, r.org, pending) {
		if err != nil {
			return err
		}
		r.people.remember(&invitation)
	}
	if r.opts.Since.IsZero() {
		return nil
	}
	for invitation, err := range orgs.Invitations(ctx, r.org, nil) {
		if err != nil {
			return err
		}
		if invitation.CreatedAt.Before(r.opts.Since.Truncate(time.Millisecond)) { // the wire has no finer ones
			break
		}
		r.people.remember(&invitation)
	}
	return nil
}

// maxLookups is how many reads of lookUp and checkMembers run at once.
const maxLookups = 4

// lookUp finds the invitation of an input whose address is known to have one.
func (r *inviteRun) lookUp(in *row) {
	r.lookups++
	wait := r.reads.backoff()
	r.start(func() func() {
		sleep(r.ctx, wait)
		invitation, err := r.newestOf(r.ctx, in.params.EmailAddress)
		return func() {
			r.lookups--
			switch {
			case err == nil:
				r.reads.ok()
				r.decide(in, r.resultOf(in, invitation))
			case r.readFailed(err):
				r.known = append(r.known, in)
			}
		}
	})
}

// resultOf is the result of a row whose address has an invitation: by this run,
// if it was made since the row was first sent.
func (r *inviteRun) resultOf(in *row, invitation *OrganizationInvitation) InviteResult {
	result := InviteResult{Outcome: OutcomeAlreadyInvited, Invitation: invitation}
	if invitation != nil && r.madeBy(in, invitation) {
		result.Outcome = OutcomeInvited
	}
	return result
}

func (r *inviteRun) madeBy(in *row, invitation *OrganizationInvitation) bool {
	return !in.tried.IsZero() && !invitation.CreatedAt.Before(in.tried.Add(-clockSkew))
}

// newestOf returns the pending invitation of an address, or else its newest, nil
// where there is none.
func (r *inviteRun) newestOf(ctx context.Context, address string) (*OrganizationInvitation, error) {
	var newest *OrganizationInvitation
	params := &ListInvitationsParams{EmailAddress: address}
	for invitation, err := range r.reader.Organizations.Invitations(ctx, r.org, params) {
		if err != nil {
			return nil, err
		}
		if AddressKey(invitation.EmailAddress) != AddressKey(address) {
			continue
		}
		if invitation.Status == InvitationPending {
			return &invitation, nil
		}
		if newest == nil {
			newest = &invitation
		}
	}
	return newest, nil
}

// checkMembers sorts out who is a member already. The others may be sent.
func (r *inviteRun) checkMembers(rows []*row) {
	r.lookups++
	wait := r.reads.backoff()
	r.start(func() func() {
		sleep(r.ctx, wait)
		members, err := r.membersAmong(r.ctx, rows)
		return func() {
			r.lookups--
			if err != nil {
				if r.readFailed(err) {
					r.unchecked = append(rows, r.unchecked...)
				}
				return
			}
			r.reads.ok()
			for _, in := range rows {
				if members[in] {
					r.decide(in, InviteResult{Outcome: OutcomeAlreadyMember})
				} else {
					r.queue(&r.fresh, in)
				}
			}
		}
	})
}

// membersAmong asks which of at most 100 rows belong to members. A member is
// found by any address but shows only one identifier: where that is none of those
// asked for, the question is split until it has one answer.
func (r *inviteRun) membersAmong(ctx context.Context, rows []*row) (map[*row]bool, error) {
	asked := make(map[string]*row, len(rows))
	addresses := make([]string, len(rows))
	for i, in := range rows {
		addresses[i] = in.params.EmailAddress
		asked[AddressKey(addresses[i])] = in
	}
	members := map[*row]bool{}
	strangers := 0
	params := &ListMembershipsParams{EmailAddress: addresses}
	for membership, err := range r.reader.Organizations.Memberships(ctx, r.org, params) {
		if err != nil {
			return nil, err
		}
		var identifier string
		if membership.PublicUserData != nil {
			identifier = membership.PublicUserData.Identifier
		}
		if in := asked[AddressKey(identifier)]; in != nil {
			members[in] = true
		} else {
			strangers++
		}
	}
	rest := slices.DeleteFunc(slices.Clone(rows), func(in *row) bool { return members[in] })
	switch {
	case strangers == 0 || len(rest) == 0:
		return members, nil
	case len(rows) == 1:
		return map[*row]bool{rows[0]: true}, nil
	}
	for _, half := range [][]*row{rest[:len(rest)/2], rest[len(rest)/2:]} {
		if len(half) == 0 {
			continue
		}
		more, err := r.membersAmong(ctx, half)
		if err != nil {
			return nil, err
		}
		for in := range more {
			members[in] = true
		}
	}
	return members, nil
}
