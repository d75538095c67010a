package clerkorg

import (
	"errors"
	"fmt"
	"html"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// maxExcerpt is how many characters of a foreign answer an error shows, and maxSearched
// how many bytes of it are searched for them: a page may begin with a long head.
const maxExcerpt, maxSearched = 120, 16 << 10

// describeForeign says what an answer is that does not hold Clerk's JSON: a redirect, an
// answer without a body, or one with the beginning of its text.
func (c *Client) describeForeign(got *answer) string {
	if to := c.redirectTarget(got); to != "" {
		return "a redirect to " + to
	}
	kind := mediaType(got.header)
	text := c.excerpt(kind, got.body.Bytes())
	switch {
	case got.body.Len() == 0:
		return "without a body"
	case kind != "":
		kind = " (" + kind + ")"
	}
	if text != "" {
		text = ": " + strconv.Quote(text)
	}
	return "not Clerk's JSON" + kind + text
}

// redirectTarget is where an answer redirects to, without what could be secret: user,
// password, query and fragment.
func (c *Client) redirectTarget(got *answer) string {
	location := got.header.Get("Location")
	if location == "" || got.status < 300 || got.status > 399 {
		return ""
	}
	u, err := url.Parse(location)
	if err != nil {
		return ""
	}
	target := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath}
	return oneLine(redact(c.secret(), target.String()))
}

// mediaType is the Content-Type without its parameters; "" where it is none.
func mediaType(header http.Header) string {
	kind, _, err := mime.ParseMediaType(header.Get("Content-Type"))
	if err != nil {
		return ""
	}
	return kind
}

// foreignType is the media type unless it is that of Clerk's answers.
func foreignType(kind string) string {
	if kind == "application/json" {
		return ""
	}
	return kind
}

// excerpt is the beginning of the text of an answer, on one line.
func (c *Client) excerpt(kind string, body []byte) string {
	text := strings.ToValidUTF8(string(body[:min(len(body), maxSearched)]), "")
	if kind == "text/html" || strings.HasPrefix(strings.TrimSpace(text), "<") {
		text = html.UnescapeString(markup.ReplaceAllString(text, " "))
	}
	// Without its markup the text may spell the key where the body did not.
	text = redact(c.secret(), unbroken(text))
	runes := []rune(strings.Join(strings.Fields(text), " "))
	if len(runes) > maxExcerpt {
		return string(runes[:maxExcerpt]) + "…"
	}
	return string(runes)
}

// markup is what a browser does not show of a page.
var markup = regexp.MustCompile(`(?is)<!--.*?(?:-->|$)|<script\b.*?(?:</script\s*>|$)|<style\b.*?(?:</style\s*>|$)|<[^>]*(?:>|$)`)

// unreadable is the error of an answer that was a success and could not be decoded.
func (c *call) unreadable(got *answer, err error) error {
	text := fmt.Sprintf("%d %s", got.status, http.StatusText(got.status))
	if kind := mediaType(got.header); kind != "" {
		text += " (" + kind + ")"
	}
	reason := strings.TrimPrefix(err.Error(), "jsonwire: ")
	if trace := traceID(got.header); trace != "" {
		reason += " [trace " + oneLine(trace) + "]"
	}
	return c.fail(true, fmt.Errorf("%s %w: %s", text, errUnreadable, reason))
}

var errUnreadable = errors.New("cannot be read")
