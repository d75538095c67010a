package redislimit

import (
	"errors"
	"net"
	"regexp"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/clerkorg/clerkorg-go"
)

// failure says why Redis could not be asked. It matches
// [clerkorg.ErrLimiterUnavailable]; its text names no host and no password.
type failure struct {
	text   string
	err    error // nil where it would be mistaken for an error of the caller's context
	unsent bool  // whether Redis certainly did not see the request
}

func (f *failure) Error() string { return "redislimit: " + f.text }

func (f *failure) Is(target error) bool { return target == clerkorg.ErrLimiterUnavailable }

func (f *failure) Unwrap() error { return f.err }

// newFailure describes an error of a Redis client.
func (l *Limiter) newFailure(err error) *failure {
	text := err.Error()
	for _, password := range passwords(l.redis) {
		text = strings.ReplaceAll(text, password, "***")
	}
	unsent := false
	if op, ok := errors.AsType[*net.OpError](err); ok {
		unsent = op.Op == "dial"
		for _, addr := range []net.Addr{op.Addr, op.Source} {
			if addr != nil && addr.String() != "" {
				text = strings.ReplaceAll(text, addr.String(), "")
			}
		}
	}
	if lookup, ok := errors.AsType[*net.DNSError](err); ok {
		text = strings.ReplaceAll(text, lookup.Error(), "lookup: "+lookup.Err)
	}
	text = userinfo.ReplaceAllString(text, "//")
	text = hostPort.ReplaceAllString(text, "")
	text = gaps.ReplaceAllString(text, "$1")
	return &failure{text, err, unsent}
}

var (
	userinfo = regexp.MustCompile(`//[^\s/@]*@`)
	hostPort = regexp.MustCompile(`(?:\[[\w:.%]+\]|[\w.-]+):\d{4,5}\b|\b\d+\.\d+\.\d+\.\d+\b(?::\d+)?`)
	gaps     = regexp.MustCompile(`\s*(?:->)?\s*(:? |:|$)`) // that the addresses leave
)

// passwords are those that a client has.
func passwords(client redis.UniversalClient) []string {
	var all []string
	switch c := client.(type) {
	case *redis.Client:
		all = []string{c.Options().Password}
	case *redis.ClusterClient:
		all = []string{c.Options().Password}
	case *redis.Ring:
		all = []string{c.Options().Password}
	}
	if len(all) > 0 && all[0] == "" {
		return nil
	}
	return all
}
