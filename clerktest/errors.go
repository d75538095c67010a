package clerktest

import (
	"net/http"
	"strings"
)

// apiError is one refusal, on its way to become the body of an answer.
type apiError struct {
	status int
	header http.Header // extra headers of the answer, may be nil

	Message     string         `json:"message"`
	LongMessage string         `json:"long_message"`
	Code        string         `json:"code"`
	Meta        map[string]any `json:"meta,omitempty"`
}

// errorsJSON is the body of every answer that is not a success.
type errorsJSON struct {
	Errors  []*apiError `json:"errors"`
	TraceID string      `json:"clerk_trace_id"`
}

func newError(status int, code, message, longMessage string) *apiError {
	return &apiError{status: status, Code: code, Message: message, LongMessage: longMessage}
}

// paramError refuses one parameter with a 422.
func paramError(code, param, long string) *apiError {
	e := newError(http.StatusUnprocessableEntity, code, strings.ReplaceAll(strings.TrimPrefix(code, "form_"), "_", " "), long)
	e.Meta = map[string]any{"param_name": param}
	return e
}

func missing(param string) *apiError {
	return paramError("form_param_missing", param, "The request lacks "+param+".")
}

func wrongType(param, want string) *apiError {
	return paramError("form_param_type_invalid", param, param+" has to be "+want+".")
}

func wrongFormat(param, want string) *apiError {
	return paramError("form_param_format_invalid", param, param+" has to be "+want+".")
}

func wrongValue(param, want string) *apiError {
	return paramError("form_param_value_invalid", param, param+" has to be "+want+".")
}

func notFound(what string) *apiError {
	return newError(http.StatusNotFound, "resource_not_found", "no such resource", "There is no such "+what+".")
}

func notPending() *apiError {
	return newError(http.StatusNotFound, "organization_invitation_not_pending", "invitation is not pending",
		"Only a pending invitation can be revoked; this one is not.")
}

func bodyInvalid() *apiError {
	return newError(http.StatusBadRequest, "request_body_invalid", "unreadable body", "The body is not valid JSON.")
}

func bodyMalformed(want string) *apiError {
	return newError(http.StatusBadRequest, "malformed_request_parameters", "unexpected body", "The body has to be "+want+".")
}

// codes are what Clerk calls the statuses that say nothing more precise.
var codes = map[int]string{
	http.StatusBadRequest:          "bad_request",
	http.StatusUnauthorized:        "authentication_invalid",
	http.StatusForbidden:           "authorization_invalid",
	http.StatusNotFound:            "resource_not_found",
	http.StatusConflict:            "conflict",
	http.StatusTooManyRequests:     "too_many_requests",
	http.StatusInternalServerError: "internal_clerk_error",
	http.StatusServiceUnavailable:  "service_unavailable",
	http.StatusGatewayTimeout:      "gateway_timeout",
}

// codeOf is the code of an injected error that was given none.
func codeOf(status int) string {
	if code, ok := codes[status]; ok {
		return code
	}
	if status >= 500 {
		return "internal_clerk_error"
	}
	return "bad_request"
}
