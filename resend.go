package clerkorg

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/url"
	"strings"
	"time"
)

// ResendState is how far a failed [OrganizationsService.ResendInvitation] came.
type ResendState string

// States in which a failed resend leaves things.
const (
	// ResendUnchanged: the invitation is as it was.
	ResendUnchanged ResendState = "unchanged"
	// ResendRevokeUnknown: it may be revoked; no new one was created.
	ResendRevokeUnknown ResendState = "revoke unknown"
	// ResendRevoked: it is not pending any more, and no new one was created: the
	// invitee has nothing to accept until one is.
	ResendRevoked ResendState = "revoked"
	// ResendCreateUnknown: it is not pending any more, and a new one may have been
	// created; the list of the address's invitations will tell.
	ResendCreateUnknown ResendState = "create unknown"
)

// ResendError says in what state a failed resend left things.
type ResendError struct {
	InvitationID string // the invitation that was to be sent again
	State        ResendState
	Err          error // what failed
}

func (e *ResendError) Error() string {
	if e == nil || e.Err == nil {
		return "clerkorg: no error"
	}
	var state string
	switch e.State {
	case ResendRevokeUnknown:
		state = "may have been revoked, and no new one was created"
	case ResendRevoked:
		state = "is not pending any more, and no new one was created"
	case ResendCreateUnknown:
		state = "is not pending any more, and a new one may have been created"
	default:
		state = "is as it was"
	}
	return fmt.Sprintf("clerkorg: resend: invitation %s %s: %s", e.InvitationID, state, strings.TrimPrefix(e.Err.Error(), "clerkorg: "))
}

// Unwrap returns Err.
func (e *ResendError) Unwrap() error {
	if e == nil {
		return nil
	}
	return e.Err
}

// LogValue gives a logger the state, and the cause without the server's sentences.
func (e *ResendError) LogValue() slog.Value {
	if e == nil {
		return slog.Value{}
	}
	return slog.GroupValue(slog.String("state", string(e.State)), slog.Any("cause", e.Err))
}

// ResendInvitation sends an invitation again, for which Clerk has no call: it
// looks it up, revokes it if it is pending, and creates another one with the same
// address, role, inviter, metadata, days to live and, where the invitation tells
// it, redirect URL. It returns the new one. It takes a token of [QuotaCreate].
//
// An invitation that was accepted is not sent again. A failure after the
// look-up is a [*ResendError], which says what is left; where an outcome was
// unknown, it has looked.
func (s *OrganizationsService) ResendInvitation(ctx context.Context, organizationID, invitationID string) (*OrganizationInvitation, error) {
	old, err := s.GetInvitation(ctx, organizationID, invitationID)
	if err != nil {
		return nil, err
	}
	params := CreateInvitationParams{
		EmailAddress:    old.EmailAddress,
		Role:            old.Role,
		InviterUserID:   old.InviterID,
		RedirectURL:     redirectOf(old),
		PublicMetadata:  old.PublicMetadata,
		PrivateMetadata: old.PrivateMetadata,
		ExpiresInDays:   daysToLive(old),
	}
	if err := s.canCreate(ctx, &params); err != nil && old.Status == InvitationPending {
		return nil, &ResendError{InvitationID: invitationID, State: ResendUnchanged, Err: err}
	}
	if state, err := s.retire(ctx, organizationID, old); err != nil {
		return nil, &ResendError{InvitationID: invitationID, State: state, Err: err}
	}
	created, err := s.CreateInvitation(ctx, organizationID, params)
	if err == nil {
		return created, nil
	}
	state := ResendRevoked
	if errors.Is(err, ErrOutcomeUnknown) {
		if found := s.pendingOf(ctx, organizationID, old); found != nil {
			return found, nil
		}
		state = ResendCreateUnknown // it may still be under way
	}
	return nil, &ResendError{InvitationID: invitationID, State: state, Err: err}
}

// retire makes sure that an invitation is not pending. The state is what it
// leaves on failure.
func (s *OrganizationsService) retire(ctx context.Context, organizationID string, old *OrganizationInvitation) (ResendState, error) {
	if old.Status == InvitationAccepted {
		return ResendUnchanged, errors.New("it has been accepted")
	}
	if old.Status != InvitationPending {
		return "", nil
	}
	_, err := s.RevokeInvitation(ctx, organizationID, old.ID, nil)
	if err == nil {
		return "", nil
	}
	api, _ := errors.AsType[*APIError](err)
	if !errors.Is(err, ErrOutcomeUnknown) && !api.HasCode(CodeInvitationNotPending) {
		return ResendUnchanged, err
	}
	// It may be revoked by now, by us or somebody else, or accepted.
	now, lookErr := s.GetInvitation(ctx, organizationID, old.ID)
	switch {
	case lookErr != nil:
		return ResendRevokeUnknown, err
	case now.Status == InvitationPending && errors.Is(err, ErrOutcomeUnknown):
		return ResendRevokeUnknown, err // it may still be under way
	case now.Status == InvitationPending, now.Status == InvitationAccepted:
		return ResendUnchanged, err
	}
	return "", nil
}

// canCreate is an error where params would not be sent: they are invalid (Clerk has
// addresses that it does not accept today), or the quota is spent. Nothing may be
// revoked then, as it could not be replaced.
func (s *OrganizationsService) canCreate(ctx context.Context, params *CreateInvitationParams) error {
	var p problems
	p.invitation(0, params, nil)
	if err := p.err(); err != nil {
		return err
	}
	quota := s.client.quotas[QuotaCreate]
	state, err := s.client.limiter.State(ctx, quota)
	if err != nil || state.Available > 0 {
		return nil //nolint:nilerr // what is not known is for the call to find out
	}
	if wait := time.Until(state.NextAt); wait > s.client.maxWait {
		return &RateLimitError{Quota: quota, RetryAfter: wait}
	}
	return nil
}

// pendingOf returns a pending invitation of the same address as old, nil where
// none can be found.
func (s *OrganizationsService) pendingOf(ctx context.Context, organizationID string, old *OrganizationInvitation) *OrganizationInvitation {
	list, err := s.ListInvitations(ctx, organizationID, &ListInvitationsParams{
		EmailAddress: old.EmailAddress,
		Status:       []InvitationStatus{InvitationPending},
		Limit:        maxPageSize,
	})
	if err != nil {
		return nil
	}
	for i := range list.Data {
		if found := &list.Data[i]; found.ID != old.ID && AddressKey(found.EmailAddress) == AddressKey(old.EmailAddress) {
			return &list.Data[i]
		}
	}
	return nil
}

// redirectOf is where the invitation leads, as far as its URL says so.
func redirectOf(invitation *OrganizationInvitation) string {
	u, err := url.Parse(invitation.URL)
	if err != nil {
		return ""
	}
	redirect := u.Query().Get("redirect_url")
	if redirectFault(redirect) != "" {
		return ""
	}
	return redirect
}

// daysToLive is for how many days the invitation was made, 0 where it does not
// expire.
func daysToLive(invitation *OrganizationInvitation) int {
	if invitation.ExpiresAt.IsZero() || invitation.CreatedAt.IsZero() {
		return 0
	}
	days := invitation.ExpiresAt.Sub(invitation.CreatedAt.Time).Hours() / (24 * time.Hour).Hours()
	return int(min(max(1, math.Round(days)), maxExpiresInDays))
}
