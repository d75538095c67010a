package clerkorg

import (
	"context"
	"iter"
	"time"
)

// Defaults of the options.
const (
	defaultConcurrency = 4
	defaultMaxOutage   = time.Hour
)

// InviteAllOptions changes what [OrganizationsService.InviteAll] does. A nil
// pointer means all defaults.
type InviteAllOptions struct {
	// Since also counts as invited whoever was invited at this moment or later by
	// an earlier run and has accepted, been revoked or expired in the meantime.
	// Without it only pending invitations and members count. Give the start of the
	// first run.
	Since time.Time

	// BulkOnly leaves the single invitation call, and its 250 an hour, alone. A
	// refused batch that names nobody is then halved until the culprit is found.
	BulkOnly bool

	// ReserveBulk and ReserveSingle are how many calls of each kind are left for
	// the other traffic of the same key at any moment.
	ReserveBulk, ReserveSingle int

	// Concurrency is how many calls of each kind are under way at once, at most;
	// zero is 4.
	Concurrency int

	// MaxOutage is for how long the server may fail without a break before the run
	// gives up; zero is one hour.
	MaxOutage time.Duration

	// Total is how many invitations there will be, if that is known. Only the
	// estimate in Progress uses it.
	Total int

	// OnProgress, if set, is told how things stand, between results and before
	// every wait, from the goroutine that ranges. It should be quick.
	OnProgress func(Progress)
}

// InviteOutcome is what became of one input of InviteAll.
type InviteOutcome string

// The outcomes of an input.
const (
	// OutcomeInvited: this run created the invitation.
	OutcomeInvited InviteOutcome = "invited"
	// OutcomeAlreadyInvited: the address has an invitation, made before.
	OutcomeAlreadyInvited InviteOutcome = "already_invited"
	// OutcomeAlreadyMember: the address belongs to a member.
	OutcomeAlreadyMember InviteOutcome = "already_member"
	// OutcomeDuplicate: an earlier input has the same address.
	OutcomeDuplicate InviteOutcome = "duplicate"
	// OutcomeRejected: it was not valid, or the server refused it.
	OutcomeRejected InviteOutcome = "rejected"
)

// InviteResult is what became of one input of InviteAll.
type InviteResult struct {
	Index   int // of the input, from 0
	Params  CreateInvitationParams
	Outcome InviteOutcome

	// Invitation is the invitation created, or the one that was there. In rare
	// cases one that was there is not given: the server named the address as taken
	// but lists no invitation of it.
	Invitation *OrganizationInvitation

	// DuplicateOf is the index of the input with the same address, for
	// [OutcomeDuplicate].
	DuplicateOf int

	// Err says why, for [OutcomeRejected]: an [*APIError], or a [*ValidationError]
	// whose problems have the Index of the input.
	Err error
}

// Progress is how a run stands.
type Progress struct {
	Done      int                   // inputs decided
	Outcomes  map[InviteOutcome]int // of those decided
	Calls     int                   // calls sent that create invitations
	Remaining int                   // inputs known and not decided, or Total-Done where Total is larger

	BulkLeft, SingleLeft int // calls that can be made right now

	// NextSlotAt is when the next call can be made, zero where one can be made now.
	NextSlotAt time.Time

	// EstimatedEnd is when the remaining inputs will have been sent if nothing goes
	// wrong; zero before the first look at the server is over.
	EstimatedEnd time.Time
}

// InviteAll invites any number of people into an organization, each exactly once,
// as fast as the quotas allow: 750 an hour, ten at a time with the bulk call and,
// besides, one at a time with the single call. It waits for quota as long as ctx
// allows, and yields a result for every input, in the order in which they are
// decided. It holds no more than a small entry for every address.
//
// It keeps no file. It begins by reading who is a member or has a pending
// invitation, and skips them: after a crash, run it again, on any machine, with
// the same input. A process that starts anew also counts the calls of the last
// hour, as far as the instance's invitations show them.
//
// A bad input never ends a run: it is rejected, or set aside while the others of
// its batch go on. After a call whose outcome is unknown it lists what was
// created, and sends again only what is missing. An outage is waited out for
// MaxOutage.
//
// An error in the sequence is the last element. It is something that no further
// call can mend: the context has ended, the key or a permission is refused, the
// organization is unknown or full, the server has been failing for too long, or
// the arguments are wrong (a [*ValidationError]). What was not decided by then is
// not yielded; another run goes on from there.
//
// When the loop breaks, no new call starts, and those under way are abandoned:
// their outcome is for the next run to find out.
//
// The sequence invitations is read from the goroutine that ranges, at most 2,000
// inputs ahead of their results; one that blocks holds everything up. Nothing is
// sent before the result is ranged over.
func (s *OrganizationsService) InviteAll(ctx context.Context, organizationID string, invitations iter.Seq[CreateInvitationParams], opts *InviteAllOptions) iter.Seq2[InviteResult, error] {
	given := valueOf(opts)
	return func(yield func(InviteResult, error) bool) {
		options := given
		if err := s.checkInviteAll(organizationID, invitations, &options); err != nil {
			yield(InviteResult{}, err)
			return
		}
		ctx, cancel := context.WithCancel(ctx)
		next, stop := iter.Pull(invitations)
		run := newInviteRun(ctx, s.client, organizationID, next, options)
		defer func() {
			cancel()
			run.drain()
			stop()
		}()
		run.loop(yield)
	}
}

// checkInviteAll checks the arguments of a run and fills in the defaults.
func (s *OrganizationsService) checkInviteAll(organizationID string, invitations iter.Seq[CreateInvitationParams], opts *InviteAllOptions) error {
	var p problems
	p.id("organization_id", organizationID)
	if invitations == nil {
		p.add(-1, "invitations", "must not be nil")
	}
	if opts.Concurrency == 0 {
		opts.Concurrency = defaultConcurrency
	}
	if opts.MaxOutage == 0 {
		opts.MaxOutage = defaultMaxOutage
	}
	for _, option := range []struct {
		name      string
		value     int
		min, most int
	}{
		{"Concurrency", opts.Concurrency, 1, 1000},
		{"ReserveBulk", opts.ReserveBulk, 0, s.client.quotas[QuotaBulk].Limit - 1},
		{"ReserveSingle", opts.ReserveSingle, 0, s.client.quotas[QuotaCreate].Limit - 1},
		{"Total", opts.Total, 0, 1 << 40},
	} {
		if option.value < option.min || option.value > option.most {
			p.add(-1, option.name, "must be %d to %d, is %d", option.min, option.most, option.value)
		}
	}
	if opts.MaxOutage < 0 {
		p.add(-1, "MaxOutage", "must not be negative, is %s", opts.MaxOutage)
	}
	return p.err()
}
