// Command handler is an HTTP service that invites up to ten people while its caller
// waits, and answers with an outcome for each of them.
//
//	go run ./examples/handler           # against a Clerk in memory
//	go run ./examples/handler -demo     # makes a few requests to itself, and ends
//
//	curl -i http://127.0.0.1:8080/organizations/org_…/invitations \
//	  -H 'Content-Type: application/json' \
//	  -d '{"invitations":[{"email_address":"ada@example.com"}]}'
//
// With CLERK_SECRET_KEY it invites for real, and with REDIS_URL it shares its quota
// with every other replica. Callers are authenticated with HANDLER_TOKEN as a bearer
// token, where it is set: authorize says what goes in its place. A request may carry an
// Idempotency-Key, so that who sends it again gets the same answer. routes documents the
// answers.
//
// GET /healthz tells whether the process lives, and GET /readyz whether it can work, and
// what is left of the quotas. OpenTelemetry's traces and metrics go where its environment
// variables say, such as OTEL_EXPORTER_OTLP_ENDPOINT or OTEL_METRICS_EXPORTER=prometheus;
// -telemetry prints them.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9/logging"

	"github.com/clerkorg/clerkorg-go/clerktest"
	"github.com/clerkorg/clerkorg-go/examples/internal/ops"
)

func main() {
	logging.Disable() // go-redis prints every failure, which the limiter returns
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "handler:", err)
		os.Exit(1)
	}
}

// backend is the Clerk that the service talks to.
type backend struct {
	secretKey, baseURL string            // baseURL is empty for the default
	redisURL           string            // empty: the quota is in this process
	token              string            // of the callers; empty: all are trusted
	transport          http.RoundTripper // nil: over the network
}

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("handler", flag.ContinueOnError)
	address := flags.String("addr", "127.0.0.1:8080", "`address` to listen on")
	demo := flags.Bool("demo", false, "make a few requests, print them, and end; always with a Clerk in memory")
	verbose := flags.Bool("telemetry", false, "print traces and metrics")
	if err := flags.Parse(args); err != nil {
		return err
	}
	b := backend{secretKey: os.Getenv("CLERK_SECRET_KEY"), baseURL: os.Getenv("CLERK_API_URL"), redisURL: os.Getenv("REDIS_URL"), token: os.Getenv("HANDLER_TOKEN")}
	organization := ""
	if *demo || b.secretKey == "" {
		server := clerktest.NewServer()
		defer server.Close()
		organization = server.OrganizationID()
		b = backend{secretKey: server.SecretKey(), baseURL: server.URL()}
	}
	if *demo {
		return demonstrate(ctx, out, b, organization)
	}

	log := slog.New(slog.NewJSONHandler(out, nil))
	if organization != "" {
		log.Info("CLERK_SECRET_KEY is not set: this is a Clerk in memory", "organization", organization)
	}
	if b.token == "" {
		log.Warn("HANDLER_TOKEN is not set: callers are not authenticated")
	}
	var telemetry *ops.Telemetry
	var err error
	if *verbose {
		telemetry, err = ops.Printed(out)
	} else {
		telemetry, err = ops.FromEnvironment(ctx)
	}
	if err != nil {
		return err
	}
	handler, done, err := newHandler(b, telemetry, log)
	if err != nil {
		telemetry.Shutdown(log)
		return err
	}
	defer done()
	defer telemetry.Shutdown(log) // before done: the last metrics ask for the quotas
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", *address)
	if err != nil {
		return err
	}
	log.Info("listening", "url", "http://"+listener.Addr().String())
	return serve(ctx, listener, handler, log)
}

// shutdownTimeout is enough for a request under way, and less than the 30 s after
// which Kubernetes sends SIGKILL.
const shutdownTimeout = 25 * time.Second

// serve serves until ctx ends, and then finishes the requests under way.
func serve(ctx context.Context, listener net.Listener, handler http.Handler, log *slog.Logger) error {
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      requestTimeout + 5*time.Second,
		IdleTimeout:       time.Minute,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	log.Info("stopping")
	// The context of the requests is not ctx: a signal that cancelled a call to Clerk
	// would leave its outcome unknown.
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	return server.Shutdown(ending)
}
