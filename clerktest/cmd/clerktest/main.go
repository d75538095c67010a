// Command clerktest serves an in-memory Clerk Backend API for organization
// invitations until it is interrupted.
//
//	go run github.com/clerkorg/clerkorg-go/clerktest/cmd/clerktest -addr 127.0.0.1:4010
//
// It prints four lines: its URL (to which SDKs add /v1, or do not), the secret
// key, the id of an organization, and the user id of an admin of it.
//
// With -webhook it posts an event to that URL for all that happens to invitations and
// memberships, signed with -webhook-secret, with CLERK_WEBHOOK_SIGNING_SECRET, or with
// a random secret; a fifth line is that secret.
package main

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/clerkorg/clerkorg-go/clerktest"
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
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	counting, err := parseWindow(*window)
	if err != nil {
		return err
	}

	opts := []clerktest.Option{
		clerktest.WithSecretKey(*key),
		clerktest.WithRateLimits(counting),
		clerktest.WithLatency(func() time.Duration { return *latency }),
	}
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

	_, err = fmt.Fprintf(stdout, "%s\n%s\n%s\n%s\n",
		server.URL(), server.SecretKey(), server.OrganizationID(), server.AdminUserID())
	if err == nil && *webhook != "" {
		_, err = fmt.Fprintln(stdout, server.WebhookSecret())
	}
	if err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

// isSigningSecret is also true for none, for which there will be a random one.
func isSigningSecret(secret string) bool {
	encoded, ok := strings.CutPrefix(secret, "whsec_")
	key, err := base64.StdEncoding.DecodeString(encoded)
	return secret == "" || ok && err == nil && len(key) > 0 && !strings.ContainsAny(secret, "\r\n")
}

func parseWindow(name string) (clerktest.Window, error) {
	for _, w := range clerktest.Windows() {
		if w.String() == name {
			return w, nil
		}
	}
	return 0, fmt.Errorf("no window is called %q; there are %s", name, windowNames())
}

func windowNames() string {
	var names []string
	for _, w := range clerktest.Windows() {
		names = append(names, w.String())
	}
	return strings.Join(names, ", ")
}
