package clerkorg

import (
	"context"
	"slices"
	"time"
)

// FindInvitations returns the invitations that the addresses have in an organization,
// by the address as it was given; an address without one is not in the map. Of several
// invitations of an address it returns the pending one, or else the newest. Invitations
// created before since are left out; a zero since leaves none out.
//
// It tells what a call has done that ended with [ErrOutcomeUnknown]. Two things can
// make it too early to tell: a request that got no answer may still arrive, for as long
// as [LateArrival], and a list may be some seconds behind. Since is compared with the
// server's clock: take the time before the call, less a few minutes for clocks that
// differ.
//
// Case makes no difference between addresses: those that differ in nothing else get the
// same invitation. An address that is none is a [*ValidationError] with its index.
//
// It reads the invitations of the organization from the newest back to since, 500 with
// a call, as long as that finds some, and then asks for each address that is left by
// itself. A single address is asked for at once. That is one or two calls where since
// is recent, and at most about twice as many as there are addresses.
//
// Clerk: https://clerk.com/docs/reference/backend-api/tag/Organization-Invitations#operation/ListOrganizationInvitations
// (GET /organizations/{organization_id}/invitations)
func (s *OrganizationsService) FindInvitations(ctx context.Context, organizationID string, since time.Time, addresses []string) (map[string]OrganizationInvitation, error) {
	var p problems
	p.id("organization_id", organizationID)
	for i, address := range addresses {
		p.address(i, "email_address", address)
	}
	if err := p.err(); err != nil {
		return nil, err
	}
	search := invitationSearch{
		since: since.Truncate(time.Millisecond), // the wire has no finer times
		best:  make(map[string]*OrganizationInvitation, len(addresses)),
		open:  make(map[string]bool, len(addresses)),
	}
	for _, address := range addresses {
		search.open[AddressKey(address)] = true
	}
	if len(search.open) > 1 {
		if err := search.walk(ctx, s, organizationID); err != nil {
			return nil, err
		}
	}
	for _, address := range addresses {
		if err := search.ask(ctx, s, organizationID, address); err != nil {
			return nil, err
		}
	}
	found := make(map[string]OrganizationInvitation, len(search.best))
	for _, address := range addresses {
		if invitation := search.best[AddressKey(address)]; invitation != nil {
			found[address] = *invitation
		}
	}
	return found, nil
}

// invitationSearch is how far a search for the invitations of some addresses has come.
// Its maps are by AddressKey.
type invitationSearch struct {
	since time.Time
	best  map[string]*OrganizationInvitation
	open  map[string]bool // addresses of which a better one may still be found
	found int             // how often a better one was found
}

// see takes an invitation into account; of one address they come newest first. It
// reports whether this one, and with it all that follow, is too old.
func (f *invitationSearch) see(invitation *OrganizationInvitation) (tooOld bool) {
	if !f.since.IsZero() {
		switch {
		case invitation.CreatedAt.IsZero(): // that says nothing of those that follow
			return false
		case invitation.CreatedAt.Before(f.since):
			return true
		}
	}
	key := AddressKey(invitation.EmailAddress)
	pending := invitation.Status == InvitationPending
	if f.open[key] && (pending || f.best[key] == nil) {
		f.best[key] = invitation
		f.found++
	}
	if pending {
		delete(f.open, key)
	}
	return false
}

// walk reads the list of all invitations until the rest is too old or there is nothing
// left to be found, or until as many pages have held nothing new as there are addresses
// left: asking for those by themselves costs no more.
func (f *invitationSearch) walk(ctx context.Context, s *OrganizationsService, organizationID string) error {
	read, fruitless, found := 0, 0, 0
	for invitation, err := range s.Invitations(ctx, organizationID, nil) {
		if err != nil {
			return err
		}
		if read > 0 && read%maxPageSize == 0 { // a page is over
			if f.found == found {
				fruitless++
			}
			if found = f.found; fruitless >= len(f.open) {
				return nil
			}
		}
		read++
		if f.see(&invitation) {
			break
		}
		if len(f.open) == 0 {
			return nil
		}
	}
	clear(f.open)
	return nil
}

// ask reads the invitations of one address, if a better one may still be found. A
// server whose filter minds the case knows it in lower case.
func (f *invitationSearch) ask(ctx context.Context, s *OrganizationsService, organizationID, address string) error {
	key := AddressKey(address)
	for i, spelling := range slices.Compact([]string{address, key}) {
		if !f.open[key] || i > 0 && f.best[key] != nil {
			break
		}
		for invitation, err := range s.Invitations(ctx, organizationID, &ListInvitationsParams{EmailAddress: spelling}) {
			if err != nil {
				return err
			}
			if f.see(&invitation) || !f.open[key] {
				break
			}
		}
	}
	delete(f.open, key)
	return nil
}
