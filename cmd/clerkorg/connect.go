package main

import (
	"cmp"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/clerkorg/clerkorg-go"
	"github.com/clerkorg/clerkorg-go/clerktest"
	"github.com/clerkorg/clerkorg-go/cmd/clerkorg/internal/progress"
)

// Clerk's quotas for invitations.
const (
	bulkLimit   = 50  // calls an hour, of ten people each
	singleLimit = 250 // calls an hour, of one
)

// connection is a way to an organization.
type connection struct {
	client       *clerkorg.Client
	impatient    *clerkorg.Client // the same, that asks once and does not wait
	organization string
	clock        progress.Clock
	server       *clerktest.Server // nil where it is Clerk's
	log          *switchedWriter
}

// connect makes a client. It sends nothing.
func (a *app) connect() (*connection, error) {
	c := &connection{organization: a.organization, clock: progress.Real, log: &switchedWriter{out: a.errOut}}
	options := []clerkorg.Option{clerkorg.WithUserAgent("clerkorg"), clerkorg.WithMaxRateLimitWait(time.Minute)}
	if a.verbose {
		options = append(options, clerkorg.WithLogger(slog.New(slog.NewTextHandler(c.log, &slog.HandlerOptions{Level: slog.LevelDebug}))))
	}
	options = append(options, a.options...)
	var open func(...clerkorg.Option) (*clerkorg.Client, error)
	switch _, set := os.LookupEnv("CLERK_SECRET_KEY"); {
	case a.demo:
		open = c.openDemo
	case a.keyFile != "":
		content, err := os.ReadFile(a.keyFile)
		if err != nil {
			return nil, wrongUse("--key-file: %w", err)
		}
		open = func(options ...clerkorg.Option) (*clerkorg.Client, error) {
			return clerkorg.NewClient(strings.TrimSpace(string(content)), options...)
		}
	case !set:
		return nil, wrongUse("there is no secret key: set CLERK_SECRET_KEY, or give --key-file (or --demo, for a Clerk in memory)")
	default:
		open = clerkorg.NewClientFromEnv
	}
	if url := cmp.Or(a.apiURL, os.Getenv("CLERK_API_URL")); url != "" && !a.demo {
		options = append(options, clerkorg.WithBaseURL(url))
	}
	var err error
	if c.client, err = open(options...); err != nil {
		return nil, exitError{exitWrongUse, err}
	}
	if c.impatient, err = open(append(options, clerkorg.WithMaxRetries(0), clerkorg.WithMaxRateLimitWait(0))...); err != nil {
		return nil, exitError{exitWrongUse, err}
	}
	if c.organization == "" {
		return nil, wrongUse("which organization? Give --org, or set CLERK_ORGANIZATION_ID")
	}
	return c, nil
}

// find asks for the organization, so that a wrong key and an unknown organization
// show before anything else is done. Where Clerk cannot say, it returns nil, and tells
// why.
func (c *connection) find(ctx context.Context, tell func(format string, args ...any)) (*clerkorg.Organization, error) {
	organization, err := c.impatient.Organizations.Get(ctx, c.organization)
	switch {
	case err == nil:
		c.organization = organization.ID // it may have been the slug
		return organization, nil
	case ctx.Err() != nil:
		return nil, exitError{exitEarly, ctx.Err()}
	case isHopeless(err):
		return nil, err
	}
	tell("%s. Trying for an hour.", progress.Trouble(err, ""))
	return nil, nil //nolint:nilnil // the commands live with not knowing
}

// isHopeless reports whether an error stays the same however often a call is made.
func isHopeless(err error) bool {
	var invalid *clerkorg.ValidationError
	api, _ := errors.AsType[*clerkorg.APIError](err)
	switch {
	case errors.Is(err, clerkorg.ErrTooManyRejected), isFull(err):
		return false
	case errors.Is(err, clerkorg.ErrForbidden):
		return len(api.Errors) > 0 // without, it is a firewall's
	}
	return errors.As(err, &invalid) || errors.Is(err, clerkorg.ErrUnauthorized) || errors.Is(err, clerkorg.ErrNotFound)
}

// isFull reports whether the organization has no room for more people.
func isFull(err error) bool {
	api, _ := errors.AsType[*clerkorg.APIError](err)
	return api.HasCode(clerkorg.CodeMembershipQuotaExceeded) || api.HasCode(clerkorg.CodeInsufficientSeats)
}

// plainly puts errors that have a plain reason into plain words.
func plainly(err error) string {
	text := strings.ReplaceAll(err.Error(), "clerkorg: ", "")
	switch {
	case !isHopeless(err):
	case errors.Is(err, clerkorg.ErrUnauthorized):
		text = "Clerk does not accept the secret key: " + text
	case errors.Is(err, clerkorg.ErrNotFound):
		text = "Clerk knows nothing by this name; is it the organization of this key? " + text
	}
	return text
}

// The demo's quotas: an hour of its server is demoWindow and what the SDK adds to it.
const demoWindow = time.Second

// openDemo makes a client of an in-memory Clerk.
func (c *connection) openDemo(options ...clerkorg.Option) (*clerkorg.Client, error) {
	if c.server == nil {
		c.clock = progress.Clock{Window: demoWindow}
		start := time.Now()
		c.server = clerktest.NewServer(
			clerktest.WithLiveKey(),
			clerktest.WithRateLimits(clerktest.SlidingLog),
			clerktest.WithClock(func() time.Time {
				return start.Add(time.Duration(float64(time.Since(start)) * c.clock.Speed()))
			}),
			clerktest.WithBlocked(func(email string) bool { return strings.HasSuffix(email, "@blocked.example") }),
		)
		c.organization = c.server.OrganizationID()
	}
	return clerkorg.NewClient(c.server.SecretKey(), append(options,
		clerkorg.WithHTTPClient(&http.Client{Transport: c.server.Transport()}),
		clerkorg.WithQuotas(
			clerkorg.Quota{Name: clerkorg.QuotaBulk, Limit: bulkLimit, Window: demoWindow},
			clerkorg.Quota{Name: clerkorg.QuotaCreate, Limit: singleLimit, Window: demoWindow},
		))...)
}

// switchedWriter writes to what can be changed while it is in use: a log goes above
// the progress as long as that is shown.
type switchedWriter struct {
	mu  sync.Mutex
	out io.Writer
}

func (w *switchedWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.out.Write(p)
}

func (w *switchedWriter) to(out io.Writer) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.out = out
}
