package clerkorg

import (
	"net/url"
	"strconv"
	"strings"
)

// redirectFault says what is wrong with a redirect URL. It is empty where nothing
// is. What a browser would take to another host than a reader expects is refused.
func redirectFault(text string) string {
	const form = "must be an absolute http or https URL, or a path that begins with a slash"
	if fault := textFault(text); fault != "" {
		return fault
	}
	u, err := url.Parse(text)
	switch {
	case strings.Contains(text, `\`):
		return "must not hold a backslash: browsers read it as a slash"
	case strings.HasPrefix(text, "//"):
		return "must not begin with two slashes: browsers read a host behind them"
	case err != nil:
		return form
	case strings.HasPrefix(text, "/"):
		return ""
	case u.Scheme != "http" && u.Scheme != "https", u.Hostname() == "":
		return form
	case u.User != nil:
		return "must not hold a user or a password"
	}
	return hostFault(u)
}

// hostFault says what is wrong with the host and the port of a URL that has a host.
// Escapes in a host hide characters from the check of the whole text.
func hostFault(u *url.URL) string {
	if fault := invisibleFault(u.Hostname()); fault != "" {
		return fault + " of its host"
	}
	if text := u.Port(); text != "" {
		if port, err := strconv.Atoi(text); err != nil || port < 1 || port > 65535 {
			return "must have a port from 1 to 65535, or none"
		}
	}
	return ""
}
