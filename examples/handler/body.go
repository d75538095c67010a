package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/clerkorg/clerkorg-go"
)

const maxBody = 64 << 10 // bytes; ten invitations are far smaller

// invitationRequest is what a caller may ask for. The inviter and the metadata are not
// the caller's to choose.
type invitationRequest struct {
	Invitations []struct {
		EmailAddress string        `json:"email_address"`
		Role         clerkorg.Role `json:"role"` // empty: org:member
	} `json:"invitations"`
}

// readPeople reads the body. The client checks the addresses and roles.
func readPeople(w http.ResponseWriter, r *http.Request) ([]clerkorg.CreateInvitationParams, *problem) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return nil, &problem{Status: http.StatusUnsupportedMediaType, Code: "unsupported_media_type", Detail: "send application/json"}
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody)) // whole: what follows the JSON counts too
	var request invitationRequest
	if err == nil {
		request, err = decode(body)
	}
	if err != nil {
		return nil, bodyProblem(err)
	}
	if n := len(request.Invitations); n < 1 || n > clerkorg.MaxBulkInvitations {
		return nil, &problem{Status: http.StatusUnprocessableEntity, Code: "invalid",
			Detail: fmt.Sprintf("invitations must have 1 to %d elements, has %d", clerkorg.MaxBulkInvitations, n)}
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

// bodyProblem is the answer to a body that cannot be read.
func bodyProblem(err error) *problem {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return &problem{Status: http.StatusRequestEntityTooLarge, Code: "body_too_large", Detail: fmt.Sprintf("send at most %d bytes", maxBody)}
	}
	return &problem{Status: http.StatusBadRequest, Code: "body_invalid", Detail: err.Error()}
}

// decode decodes a body that holds one JSON object with known fields.
func decode(body []byte) (request invitationRequest, err error) {
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.DisallowUnknownFields()
	err = decoder.Decode(&request)
	if err == nil && !errors.Is(decoder.Decode(&struct{}{}), io.EOF) {
		return request, errors.New("something follows the JSON object")
	}
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return request, fmt.Errorf("%s must not be a JSON %s", cmp.Or(wrong.Field, "the body"), wrong.Value)
	}
	if err != nil {
		text := strings.TrimPrefix(err.Error(), "json: ")
		if strings.HasPrefix(text, "unknown field ") {
			text += `: the body has "invitations", and each of these "email_address" and "role"`
		}
		return request, errors.New(text)
	}
	return request, nil
}
