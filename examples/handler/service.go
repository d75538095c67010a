package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"sync"
	"time"

	"github.com/clerkorg/clerkorg-go"
)

const (
	maxBody        = 64 << 10         // ten invitations are far smaller
	requestTimeout = 20 * time.Second // of everything that is done for a request
)

// service answers requests with the help of Clerk.
type service struct {
	client *clerkorg.Client
	log    *slog.Logger
}

// newService returns the routes. Whoever reaches them can invite anybody into any
// organization: put your authentication around the handler, and have it check that
// the caller is an administrator of the organization in the path, and may give
// away the roles asked for.
func newService(client *clerkorg.Client, log *slog.Logger) http.Handler {
	s := &service{client: client, log: log}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /organizations/{id}/invitations", s.invite)
	return mux
}

// invitationRequest is what a caller may ask for, and no more: in whose name
// people are invited, and with which metadata, is not the caller's to say.
type invitationRequest struct {
	Invitations []struct {
		EmailAddress string        `json:"email_address"`
		Role         clerkorg.Role `json:"role"` // empty: org:member
	} `json:"invitations"`
}

// outcome is what became of one person.
type outcome struct {
	EmailAddress string             `json:"email_address"`
	Outcome      string             `json:"outcome"`
	InvitationID string             `json:"invitation_id,omitempty"`
	Code         clerkorg.ErrorCode `json:"code,omitempty"`
}

// Outcomes of a person.
const (
	invited    = "invited"     // by this request
	pending    = "pending"     // has an invitation, by this request or an earlier one
	refused    = "refused"     // Clerk says why in code
	notInvited = "not_invited" // because of somebody else in the request
	unknown    = "unknown"
)

func (s *service) invite(w http.ResponseWriter, r *http.Request) {
	// The caller's going away ends the call as well: nobody would read the answer.
	ctx, cancel := context.WithTimeout(r.Context(), requestTimeout)
	defer cancel()
	people, problem := readPeople(w, r)
	if problem != nil {
		s.fail(ctx, w, problem, nil)
		return
	}
	organization := r.PathValue("id")
	invitations, err := s.create(ctx, organization, people)
	if err != nil {
		s.fail(ctx, w, problemOf(err), s.outcomes(ctx, organization, people, err))
		return
	}
	outcomes := make([]outcome, len(people))
	for i, p := range people {
		outcomes[i] = outcome{EmailAddress: p.EmailAddress, Outcome: invited, InvitationID: invitations[i].ID}
	}
	s.log.InfoContext(ctx, "invited", "people", len(people))
	s.reply(ctx, w, http.StatusCreated, answer{Invitations: outcomes})
}

// readPeople reads the body. What it does not check, Clerk's client does.
func readPeople(w http.ResponseWriter, r *http.Request) ([]clerkorg.CreateInvitationParams, *problem) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return nil, &problem{Status: http.StatusUnsupportedMediaType, Code: "unsupported_media_type", Message: "send application/json"}
	}
	decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	decoder.DisallowUnknownFields() // "emails" for "email_address" is told, not ignored
	var request invitationRequest
	err := decoder.Decode(&request)
	if err == nil && !errors.Is(decoder.Decode(&struct{}{}), io.EOF) {
		err = errors.New("something follows the JSON object")
	}
	if tooLong, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, &problem{Status: http.StatusRequestEntityTooLarge, Code: "body_too_large", Message: fmt.Sprintf("send at most %d bytes", tooLong.Limit)}
	}
	if err != nil {
		return nil, &problem{Status: http.StatusBadRequest, Code: "body_invalid", Message: "the body cannot be read: " + err.Error()}
	}
	people := make([]clerkorg.CreateInvitationParams, len(request.Invitations))
	for i, p := range request.Invitations {
		people[i] = clerkorg.CreateInvitationParams{EmailAddress: p.EmailAddress, Role: p.Role}
		if p.Role == "" {
			people[i].Role = clerkorg.RoleMember
		}
	}
	return people, nil
}

// create makes one call. A single person does not take one of the 50 bulk calls of
// the hour, but one of 250 others.
func (s *service) create(ctx context.Context, organization string, people []clerkorg.CreateInvitationParams) ([]clerkorg.OrganizationInvitation, error) {
	if len(people) != 1 {
		return s.client.Organizations.CreateInvitationBulk(ctx, organization, people)
	}
	invitation, err := s.client.Organizations.CreateInvitation(ctx, organization, people[0])
	if err != nil {
		return nil, err
	}
	return []clerkorg.OrganizationInvitation{*invitation}, nil
}

// outcomes tells what can be told of everybody after Clerk has refused a call.
// Clerk does not say whether it created some of a refused batch, so this looks.
// After a call that got no answer a look says little: it may still arrive.
func (s *service) outcomes(ctx context.Context, organization string, people []clerkorg.CreateInvitationParams, err error) []outcome {
	api, ok := errors.AsType[*clerkorg.APIError](err)
	if !ok || errors.Is(err, clerkorg.ErrOutcomeUnknown) || !aboutPeople(api) {
		return nil
	}
	named := namedBy(api)
	outcomes := make([]outcome, len(people))
	var looks sync.WaitGroup
	for i, p := range people {
		o := &outcomes[i]
		o.EmailAddress = p.EmailAddress
		if code, ok := named[fold(p.EmailAddress)]; ok || len(people) == 1 {
			if !ok {
				code = codeOf(api)
			}
			o.Outcome, o.Code = refused, code
			continue
		}
		looks.Go(func() { o.Outcome, o.InvitationID = s.look(ctx, organization, p.EmailAddress) })
	}
	looks.Wait()
	return outcomes
}

// look finds out whether somebody has an invitation now.
func (s *service) look(ctx context.Context, organization, address string) (outcome, invitationID string) {
	list, err := s.client.Organizations.ListInvitations(ctx, organization, &clerkorg.ListInvitationsParams{
		EmailAddress: address,
		Status:       []clerkorg.InvitationStatus{clerkorg.InvitationPending},
	})
	if err != nil {
		return unknown, ""
	}
	for _, invitation := range list.Data {
		if fold(invitation.EmailAddress) == fold(address) {
			return pending, invitation.ID
		}
	}
	return notInvited, ""
}
