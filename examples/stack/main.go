// Command stack runs the whole thing on this machine: three handlers and two workers
// that share one quota through Redis, jobs in PostgreSQL, and a Clerk in memory. It has
// 500 people invited, kills a handler and a worker on the way as the kernel would
// (SIGKILL), and prints the server's ledger: who was invited, how often, with how many
// calls. It takes two to three minutes, since the other worker waits until the dead one
// is known to be dead.
//
//	go run ./examples/stack
//	go run ./examples/stack -keep   # then leaves everything running, to look around
//
// Redis is the one at REDIS_URL, or redis-server from the PATH. PostgreSQL is the one at
// DATABASE_URL, or postgres from the PATH, or else SQLite takes its place. With Docker,
// compose.yaml starts the same with Prometheus, Grafana and River UI: see README.md.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/clerkorg/clerkorg-go/clerktest"
	"github.com/clerkorg/clerkorg-go/clerktest/desk"
)

const (
	handlers, workers = 3, 2

	people      = 500
	byWorkers   = 100 // of the people; each ten are a job
	afterwards  = 50  // of the people; they are invited when all is over
	batch       = 10  // people of a request
	killHandler = 12  // bulk calls that Clerk has seen when a handler dies
	killWorker  = 5   // and a worker

	clerkLatency = 50 * time.Millisecond // each way

	patience = 5 * time.Minute // for each of the steps
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "stack:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) (err error) {
	flags := flag.NewFlagSet("stack", flag.ContinueOnError)
	keep := flags.Bool("keep", false, "leave everything running until Ctrl-C")
	flags.Bool("demo", true, "does nothing: this is a demonstration")
	if err := flags.Parse(args); err != nil {
		return err
	}
	s, err := start(ctx, out)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	if err := s.invite(ctx); err != nil {
		return err
	}
	if err := s.clerk.ledger(ctx, out, s); err != nil {
		return err
	}
	if *keep {
		fmt.Fprintf(out, "\nEverything runs until Ctrl-C:\n  Clerk's inbox  %s\n", s.page)
		for _, p := range s.processes() {
			if !p.killed {
				fmt.Fprintf(out, "  %-13s  %s/readyz, %s\n", p.name, p.url, p.metrics)
			}
		}
		<-ctx.Done()
	}
	return nil
}

// stack is everything that runs.
type stack struct {
	out io.Writer
	dir string // of programs and data

	clerk    *clerk
	page     string // of Clerk's inbox
	env      []string
	handlers []*process
	workers  []*process

	mu      sync.Mutex
	closers []func() error // what stop calls, from the last
}

// clerk is the server, with what the ledger is compared to.
type clerk struct {
	*clerktest.Server

	organization string
}

func start(ctx context.Context, out io.Writer) (s *stack, err error) {
	s = &stack{out: out}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.stop())
		}
	}()
	if s.dir, err = os.MkdirTemp("", "stack"); err != nil {
		return s, err
	}
	s.closer(func() error { return os.RemoveAll(s.dir) })

	server := clerktest.NewServer(clerktest.WithLatency(func() time.Duration { return clerkLatency }))
	if err := server.Start("127.0.0.1:0"); err != nil {
		return s, err
	}
	s.closer(func() error { server.Close(); return nil })
	s.clerk = &clerk{server, server.OrganizationID()}
	s.page = desk.Attach(server).URL()

	redisURL, err := s.redis(ctx)
	if err != nil {
		return s, err
	}
	database, err := s.postgres(ctx)
	if err != nil {
		return s, err
	}
	s.env = append(os.Environ(),
		"CLERK_SECRET_KEY="+server.SecretKey(), "CLERK_API_URL="+server.URL(), "CLERK_ORGANIZATION_ID="+s.clerk.organization,
		"REDIS_URL="+redisURL, "DATABASE_URL="+database, "HANDLER_TOKEN="+token)
	fmt.Fprintf(out, "Clerk is at %s, its inbox at %s\n", server.URL(), s.page)

	if err := s.build(ctx); err != nil {
		return s, err
	}
	// The first to open the database makes its tables: not two workers at once.
	if _, err := s.worker(ctx, "-report"); err != nil {
		return s, err
	}
	var mu sync.Mutex
	var group sync.WaitGroup
	var failures []error
	begin := func(place **process, name, program string, args ...string) {
		group.Go(func() {
			p, err := s.begin(ctx, name, program, args...)
			mu.Lock()
			defer mu.Unlock()
			failures = append(failures, err)
			*place = p
		})
	}
	s.handlers, s.workers = make([]*process, handlers), make([]*process, workers)
	for i := range s.handlers {
		begin(&s.handlers[i], fmt.Sprint("handler ", i+1), "handler", "-addr", "127.0.0.1:0")
	}
	for i := range s.workers {
		begin(&s.workers[i], fmt.Sprint("worker ", i+1), "worker", "-work", "-addr", "127.0.0.1:0", "-sqlite", s.sqlite())
	}
	group.Wait()
	return s, errors.Join(failures...)
}

func (s *stack) processes() []*process { return slices.Concat(s.handlers, s.workers) }

// stop ends everything, in the reverse order of its start.
func (s *stack) stop() error {
	var failures []error
	for i := len(s.closers) - 1; i >= 0; i-- {
		failures = append(failures, s.closers[i]())
	}
	s.closers = nil
	return errors.Join(failures...)
}
