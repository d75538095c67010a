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

// ResendState is the state in which a failed [OrganizationsService.ResendInvitation]
// leaves the invitation.
type ResendState string

// The states after a failed resend.
const (
	// ResendUnchanged: the invitation was not changed.
	ResendUnchanged ResendState = "unchanged"
	// ResendRevokeUnknown: it may be revoked; no new one was created.
	ResendRevokeUnknown ResendState = "revoke unknown"
	// ResendRevoked: it is no longer pending, and no new one was created: until one
	// is, the invitee has nothing to accept.
	ResendRevoked ResendState = "revoked"
	// ResendCreateUnknown: it is no longer pending, and a new one may have been
	// created: [OrganizationsService.FindInvitations] tells.
	ResendCreateUnknown ResendState = "create unknown"
)

// ResendError is a failed resend, with the state in which it left the invitation.
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
		state = "is no longer pending, and no new one was created"
	case ResendCreateUnknown:
		state = "is no longer pending, and a new one may have been created"
	default:
		state = "was not changed"
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
// reads it, revokes it if it is pending, and creates another one with the same
// address, role, inviter, metadata, days to live and, where its URL holds one,
// redirect URL. It returns the new invitation, and takes a token of [QuotaCreate].
//
// An invitation that was accepted is not sent again. One that could not be created
// again, because the quota is spent or its address is invalid, is not revoked. A
// failure after the first read is a [*ResendError] with the state of the invitation;
// before an unknown outcome is reported, the server is asked for it.
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
		state = ResendCreateUnknown // the request may still arrive
	}
	return nil, &ResendError{InvitationID: invitationID, State: state, Err: err}
}

// retire makes sure that an invitation is not pending. With an error it returns the
// state in which the invitation is.
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
	// It may be revoked by now, by this call or another one, or accepted.
	now, lookErr := s.GetInvitation(ctx, organizationID, old.ID)
	switch {
	case lookErr != nil:
		return ResendRevokeUnknown, err
	case now.Status == InvitationPending && errors.Is(err, ErrOutcomeUnknown):
		return ResendRevokeUnknown, err // the request may still arrive
	case now.Status == InvitationPending, now.Status == InvitationAccepted:
		return ResendUnchanged, err
	}
	return "", nil
}

// canCreate returns an error where params could not be sent: they are invalid (an
// old invitation may have an address that is not accepted today), or the quota is
// spent. Revoking the invitation would then leave none.
func (s *OrganizationsService) canCreate(ctx context.Context, params *CreateInvitationParams) error {
	var p problems
	p.invitation(0, params, nil, nil)
	if err := p.err(); err != nil {
		return err
	}
	quota := s.client.quotas[QuotaCreate]
	state, err := s.client.limiter.State(ctx, quota)
	if err != nil || state.Available > 0 {
		return nil //nolint:nilerr // the call itself will find out
	}
	if wait := time.Until(state.NextAt); wait > s.client.maxWait {
		return &RateLimitError{Quota: quota, RetryAfter: wait}
	}
	return nil
}

// pendingOf returns another pending invitation of the same address as old, or nil.
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

// redirectOf returns the redirect URL of an invitation, if its URL holds one.
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

// daysToLive returns for how many days the invitation was created, and 0 where it
// does not expire.
func daysToLive(invitation *OrganizationInvitation) int {
	if invitation.ExpiresAt.IsZero() || invitation.CreatedAt.IsZero() {
		return 0
	}
	days := invitation.ExpiresAt.Sub(invitation.CreatedAt.Time).Hours() / (24 * time.Hour).Hours()
	return int(min(max(1, math.Round(days)), maxExpiresInDays))
}
