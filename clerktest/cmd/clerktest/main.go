// Command clerktest serves an in-memory Clerk Backend API for organization
// invitations until it is interrupted, with a page on which they arrive.
//
//	go run github.com/clerkorg/clerkorg-go/clerktest/cmd/clerktest -addr 127.0.0.1:4010
//
// It prints environment variables, as a shell reads them, and the address of the page:
//
//	CLERK_API_URL=http://127.0.0.1:4010
//	CLERK_SECRET_KEY=sk_test_…
//	CLERK_ORGANIZATION_ID=org_…
//	CLERK_USER_ID=user_…
//	# page: http://127.0.0.1:4010/_clerktest/
//
// The user is an admin of the organization. With -json it is one line of JSON. Below the
// page's address programs steer the server: see package desk.
//
// With -webhook it posts an event to that URL for all that happens to invitations and
// memberships, signed with -webhook-secret, with CLERK_WEBHOOK_SIGNING_SECRET, or with
// a random secret, which is printed as that variable.
package main

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/clerkorg/clerkorg-go/clerktest"
	"github.com/clerkorg/clerkorg-go/clerktest/desk"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
	default:
		fmt.Fprintln(os.Stderr, "clerktest:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("clerktest", flag.ContinueOnError)
	flags.SetOutput(stderr)
	addr := flags.String("addr", "127.0.0.1:0", "`host:port` to listen on; port 0 takes a free one")
	window := flags.String("window", clerktest.FixedWindow.String(), "how requests are counted: "+windowNames())
	key := flags.String("secret-key", "", "the secret `key` to accept; a random one if empty")
	noLimits := flags.Bool("no-limits", false, "admit every request")
	latency := flags.Duration("latency", 0, "extra time of each way, there and back")
	webhook := flags.String("webhook", "", "the `URL` to post events to")
	webhookSecret := flags.String("webhook-secret", "", "the `secret` to sign events with (default CLERK_WEBHOOK_SIGNING_SECRET, or a random one)")
	partial := flags.Bool("partial", false, "let a refused bulk call create the invitations before the one that is refused")
	name := flags.String("org", "", "the `name` of the organization")
	asJSON := flags.Bool("json", false, "print one line of JSON at the start")
	expose := flags.Bool("expose", false, "serve the page and the steering where other machines can reach them")
	var quotas []clerktest.Option
	flags.Func("quota", "a limit, as `bulk=3/10s`; may be repeated. There are "+quotaNames+", and operations as organization.get; bulk=0 removes one", func(text string) error {
		quota, err := parseQuota(text)
		quotas = append(quotas, quota)
		return err
	})
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	counting, err := desk.ParseWindow(*window)
	if err != nil {
		return fmt.Errorf("-window %w", err)
	}

	opts := append(quotas,
		clerktest.WithSecretKey(*key),
		clerktest.WithRateLimits(counting),
		clerktest.WithLatency(func() time.Duration { return *latency }),
		clerktest.WithPartialBulk(*partial),
		clerktest.WithOrganizationName(*name),
	)
	if *noLimits {
		opts = append(opts, clerktest.WithoutRateLimits())
	}
	if *webhook != "" {
		secret := cmp.Or(*webhookSecret, os.Getenv("CLERK_WEBHOOK_SIGNING_SECRET"))
		if !isSigningSecret(secret) {
			return errors.New("the webhook secret must be whsec_ and standard base64")
		}
		opts = append(opts, clerktest.WithWebhook(*webhook, secret))
	}
	server := clerktest.NewServer(opts...)
	if err := server.Start(*addr); err != nil {
		return err
	}
	defer server.Close()

	page := ""
	if *expose || isLoopback(*addr) {
		page = attach(server, *expose)
	}
	if err := announce(stdout, server, page, *asJSON); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

func attach(server *clerktest.Server, expose bool) (page string) {
	var opts []desk.Option
	if expose {
		opts = append(opts, desk.Anywhere())
	}
	return desk.Attach(server, opts...).URL()
}

// isLoopback reports whether an address to listen on is one of this machine alone.
func isLoopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	return err == nil && (host == "localhost" || net.ParseIP(host).IsLoopback())
}

// announce prints what clients have to know.
func announce(out io.Writer, server *clerktest.Server, page string, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(out).Encode(struct {
			URL            string `json:"url"`
			SecretKey      string `json:"secret_key"`
			OrganizationID string `json:"organization_id"`
			UserID         string `json:"user_id"`
			WebhookSecret  string `json:"webhook_secret,omitempty"`
			Page           string `json:"page,omitempty"`
		}{server.URL(), server.SecretKey(), server.OrganizationID(), server.AdminUserID(), server.WebhookSecret(), page})
	}
	var b strings.Builder
	fmt.Fprintf(&b, "CLERK_API_URL=%s\nCLERK_SECRET_KEY=%s\nCLERK_ORGANIZATION_ID=%s\nCLERK_USER_ID=%s\n",
		server.URL(), server.SecretKey(), server.OrganizationID(), server.AdminUserID())
	if secret := server.WebhookSecret(); secret != "" {
		fmt.Fprintf(&b, "CLERK_WEBHOOK_SIGNING_SECRET=%s\n", secret)
	}
	if page != "" {
		fmt.Fprintf(&b, "# page: %s\n", page)
	}
	_, err := io.WriteString(out, b.String())
	return err
}

// quotaNames are short for operations.
const quotaNames = "bulk, create, application-bulk, application-create, instance"

// parseQuota reads a limit, as bulk=3/10s.
func parseQuota(text string) (clerktest.Option, error) {
	name, rest, _ := strings.Cut(text, "=")
	limit, window, _ := strings.Cut(rest, "/")
	op, known := map[string]clerktest.Operation{
		"bulk": clerktest.OpBulk, "create": clerktest.OpCreate, "instance": clerktest.QuotaInstance,
		"application-bulk": clerktest.OpApplicationBulk, "application-create": clerktest.OpApplicationCreate,
	}[name]
	if !known {
		op = clerktest.Operation(name)
		if !slices.Contains(clerktest.Operations(), op) {
			return nil, fmt.Errorf("no quota is called %q; there are %s, and operations", name, quotaNames)
		}
	}
	n, err := strconv.Atoi(limit)
	if err != nil || n < 0 {
		return nil, fmt.Errorf("the limit of %s must be a number, as in %[1]s=3/10s", name)
	}
	if n == 0 {
		return clerktest.WithQuota(op, 0, 0), nil
	}
	per, err := time.ParseDuration(window)
	if err != nil || per <= 0 {
		return nil, fmt.Errorf("the window of %s must be a duration, as in %[1]s=3/10s", name)
	}
	return clerktest.WithQuota(op, n, per), nil
}

// isSigningSecret is also true for none, for which there will be a random one.
func isSigningSecret(secret string) bool {
	encoded, ok := strings.CutPrefix(secret, "whsec_")
	key, err := base64.StdEncoding.DecodeString(encoded)
	return secret == "" || ok && err == nil && len(key) > 0 && !strings.ContainsAny(secret, "\r\n")
}

func windowNames() string {
	var names []string
	for _, w := range clerktest.Windows() {
		names = append(names, w.String())
	}
	return strings.Join(names, ", ")
}
