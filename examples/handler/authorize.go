package main

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"net/http"
	"strings"
)

// authorize decides whether the sender of a request may invite people into an
// organization: nil lets it pass, [errWhoAreYou] is answered with a 401, and any other
// error with a 403. A service of your own checks the session of an administrator here,
// and the roles that it may give.
type authorize func(r *http.Request, organization string) error

var errWhoAreYou = errors.New("the request has no valid Authorization header")

// everyone is for a service that only trusted callers reach.
func everyone(*http.Request, string) error { return nil }

// bearer lets those pass who know the token, for every organization.
func bearer(token string) authorize {
	want := sha256.Sum256([]byte(token))
	return func(r *http.Request, _ string) error {
		scheme, given, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		got := sha256.Sum256([]byte(strings.TrimSpace(given)))
		if !strings.EqualFold(scheme, "Bearer") || subtle.ConstantTimeCompare(got[:], want[:]) != 1 {
			return errWhoAreYou
		}
		return nil
	}
}

// authorized answers a request that is not allowed, and hands on one that is.
func (s *service) authorized(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		switch err := s.authorize(r, r.PathValue("id")); {
		case err == nil:
			next(w, r)
		case errors.Is(err, errWhoAreYou):
			w.Header().Set("WWW-Authenticate", `Bearer realm="invitations"`)
			s.fail(r.Context(), w, &problem{Status: http.StatusUnauthorized, Code: "not_authenticated", Detail: "send a valid Authorization header"})
		default:
			s.fail(r.Context(), w, &problem{Status: http.StatusForbidden, Code: "not_allowed", Detail: "you may not invite people into this organization", err: err})
		}
	}
}
