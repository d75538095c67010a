package clerkorg

import (
	"context"
	"errors"
	"iter"
	"math"
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
	// Since also skips addresses invited at or after this time whose invitation was
	// accepted, revoked or expired. Without it only pending invitations and members
	// are skipped. Give the start of the first run.
	Since time.Time

	// BulkOnly leaves the single invitation call, and its 250 an hour, alone. A
	// refused batch that names no address is then halved until the bad row is found,
	// which costs about four bulk calls for each bad row: 10,000 people with 2 % bad
	// addresses take 35 hours instead of 19.
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

	// StopAfterRejected ends the run with [ErrTooManyRejected] once so many inputs
	// have been rejected; zero is never. A wrong column or a mistyped role shows
	// after a few.
	StopAfterRejected int

	// Total is how many invitations there will be, if that is known. Only the
	// estimate in Progress uses it.
	Total int

	// OnProgress, if set, is told how things stand, between results and before
	// every wait, from the goroutine that ranges. It should be quick.
	OnProgress func(Progress)
}

// InviteOutcome is how one input of InviteAll was decided.
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

// InviteResult is the outcome of one input of InviteAll.
type InviteResult struct {
	Index   int // of the input, from 0
	Outcome InviteOutcome

	// Params is the input as it was pulled, with its metadata as [Metadata].
	Params CreateInvitationParams

	// Invitation is the invitation created, or the one that was there. Of very many
	// that were there, those beyond the first 25,000 or so have only ID, EmailAddress,
	// Role, Status, OrganizationID, CreatedAt and ExpiresAt. It is nil where the server
	// says that the address is taken but lists no invitation of it.
	Invitation *OrganizationInvitation

	// DuplicateOf is the index of the input with the same address, for
	// [OutcomeDuplicate].
	DuplicateOf int

	// Err says why, for [OutcomeRejected]: a [*ValidationError] whose problems have the
	// Index of the input, or what the server said, an [*APIError] that errors.As finds.
	Err error
}

// ErrTooManyRejected ends a run of InviteAll that has rejected as many inputs as
// StopAfterRejected allows.
var ErrTooManyRejected = errors.New("clerkorg: too many inputs were rejected")

// Progress is how a run stands.
type Progress struct {
	Done      int                   // inputs decided
	Outcomes  map[InviteOutcome]int // of those decided
	Calls     int                   // calls sent that create invitations
	Remaining int                   // inputs known and not decided, or Total-Done where Total is larger

	BulkLeft, SingleLeft int // calls that can be made right now

	// Err is why the last call failed, and FailingSince since when calls have been
	// failing; nil and zero while they succeed. Refused inputs and waits for quota are
	// no failures.
	Err          error
	FailingSince time.Time

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
// hour, as far as the instance's invitations show them. Where there are at most ten
// inputs, and no Since, it reads nothing beforehand: one bulk call invites them, and
// only where that is refused is anything looked up. Such a run does not wait for quota
// that comes back after the deadline of ctx: it ends at once with a [*RateLimitError].
//
// A bad input never ends a run: it is rejected, or set aside while the others of
// its batch go on. After a call whose outcome is unknown it lists what was
// created, and sends again only what is missing. A read that is refused because of
// some addresses is made without them. An outage is waited out for MaxOutage.
//
// An error in the sequence is the last element. It is something that no further
// call can mend: the context has ended, the key or a permission is refused, the
// organization is unknown or full, the server has been failing for too long, too
// many inputs were rejected ([ErrTooManyRejected]), or the arguments are wrong (a
// [*ValidationError]). Where the context ends while calls are failing, the error
// also wraps why. What was not decided by then is not yielded; another run goes on
// from there.
//
// When the loop breaks, no new call starts, and those under way are abandoned:
// their outcome is for the next run to find out.
//
// The sequence invitations is ranged over in a goroutine of its own, at most 2,500
// inputs ahead of their results, once the result is ranged over. Each input is
// checked and encoded before the next one is pulled: a sequence may reuse its maps,
// pointers and buffers. A batch is sent as soon as ten inputs are there, also while
// the sequence blocks. A sequence that blocks when the run ends is left behind: its
// next yield returns false.
func (s *OrganizationsService) InviteAll(ctx context.Context, organizationID string, invitations iter.Seq[CreateInvitationParams], opts *InviteAllOptions) iter.Seq2[InviteResult, error] {
	given := valueOf(opts)
	return func(yield func(InviteResult, error) bool) {
		options := given
		if err := s.checkInviteAll(organizationID, invitations, &options); err != nil {
			yield(InviteResult{}, err)
			return
		}
		ctx, cancel := context.WithCancel(ctx)
		input := newFeed(invitations)
		run := newInviteRun(ctx, s.client, organizationID, input, options)
		defer func() {
			grace := stopGrace
			if ctx.Err() != nil {
				grace = 0
			}
			cancel()
			run.drain()
			input.stop(grace)
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
		{"StopAfterRejected", opts.StopAfterRejected, 0, math.MaxInt},
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
