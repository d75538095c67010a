// Command worker invites people in jobs that outlive the process: River keeps them
// in SQLite, or in PostgreSQL for any number of machines.
//
//	go run ./examples/worker
//
// With nothing set it is a demonstration: 60 people, a Clerk in memory, SQLite in a
// temporary folder. For real work give it a key, and run its halves where they belong:
//
//	export CLERK_SECRET_KEY=sk_test_…
//	go run ./examples/worker -enqueue people.csv -org org_…
//	go run ./examples/worker -work      # until SIGTERM; on many machines with DATABASE_URL
//	go run ./examples/worker -report    # the outcome of each person, and what does not go on
//	go run ./examples/worker -retry all # what River has given up is worked again
//
// DATABASE_URL is a PostgreSQL; without it the jobs are in the SQLite file of
// -sqlite. Workers on several machines share one quota: give them a REDIS_URL. Without
// one they still invite each person once, but meet Clerk's 429s on the way. While Redis
// is down, jobs wait.
//
// With -addr a worker answers GET /healthz and /readyz there. OpenTelemetry's traces and
// metrics go where its environment variables say.
//
// The jobs of a worker that was killed stand still for two minutes at most: see pace.
// README.md is about running it.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"syscall"

	"github.com/redis/go-redis/v9/logging"

	"github.com/clerkorg/clerkorg-go/examples/internal/ops"
)

func main() {
	logging.Disable() // go-redis prints every failure, which the limiter returns
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, production)
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "worker:", err)
		os.Exit(1)
	}
}

// command is what the flags and the environment ask for.
type command struct {
	demo, work, report bool
	retry              string // dead letters: all, or their numbers
	address            string // of the probes
	people             string // a CSV file
	organization       string
	database           string // a PostgreSQL URL, or empty
	sqlite             string // a file
}

func parse(args []string) (command, error) {
	c := command{database: os.Getenv("DATABASE_URL")}
	flags := flag.NewFlagSet("worker", flag.ContinueOnError)
	flags.BoolVar(&c.demo, "demo", false, "show the program with a Clerk in memory; the default")
	flags.StringVar(&c.people, "enqueue", "", "enqueue the people of a CSV `file`: address, and role or nothing")
	flags.StringVar(&c.organization, "org", os.Getenv("CLERK_ORGANIZATION_ID"), "`id` of the organization; default $CLERK_ORGANIZATION_ID")
	flags.BoolVar(&c.work, "work", false, "work jobs until SIGTERM")
	flags.StringVar(&c.address, "addr", "", "with -work: `address` that serves /healthz and /readyz")
	flags.BoolVar(&c.report, "report", false, "print the outcome of each person, and the jobs that do not go on")
	flags.StringVar(&c.retry, "retry", "", "put back jobs that River has given up: all, or their `numbers`")
	flags.StringVar(&c.sqlite, "sqlite", "worker.sqlite", "`file` that keeps the jobs where DATABASE_URL is not set")
	if err := flags.Parse(args); err != nil {
		return command{}, err
	}
	switch {
	case flags.NArg() > 0:
		return command{}, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	case c.people != "" && c.organization == "":
		return command{}, errors.New("which organization? Give -org org_… or set CLERK_ORGANIZATION_ID")
	}
	c.demo = c.demo || (c.people == "" && !c.work && !c.report && c.retry == "")
	return c, nil
}

func run(ctx context.Context, args []string, out io.Writer, pace pace) error {
	c, err := parse(args)
	if err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(out, nil))
	if c.demo {
		return demonstrate(ctx, out)
	}

	// River wants to know its workers to insert as well; to only enqueue needs no key.
	invite := &inviter{pace: pace, log: log}
	probes := &ops.Probes{Checks: map[string]func(context.Context) error{}, Log: log}
	if c.work {
		telemetry, err := ops.FromEnvironment(ctx)
		if err != nil {
			return err
		}
		done, err := newClerk(pace, telemetry, log, probes)
		if err != nil {
			telemetry.Shutdown(log)
			return err
		}
		defer done()
		defer telemetry.Shutdown(log) // before done: the last metrics ask for the quotas
		invite.client = probes.Client
	}
	jobs, done, err := openQueue(ctx, cmp.Or(c.database, "sqlite:"+c.sqlite), pace.config(invite))
	if err != nil {
		return err
	}
	defer done()

	if c.people != "" {
		if err := enqueueFile(ctx, jobs, out, c.people, c.organization); err != nil {
			return err
		}
	}
	if c.retry != "" {
		if err := retry(ctx, jobs, out, c.retry); err != nil {
			return err
		}
	}
	if c.work {
		probes.Checks["database"] = jobs.Ping
		if c.address != "" {
			mux := http.NewServeMux()
			probes.Register(mux)
			where, err := ops.Serve(ctx, c.address, mux, log)
			if err != nil {
				return err
			}
			log.Info("probes", "url", "http://"+where)
		}
		log.Info("working", "stop", "with SIGTERM")
		if err := work(ctx, jobs); err != nil {
			return err
		}
		log.Info("stopped")
	}
	if c.report {
		return report(context.WithoutCancel(ctx), jobs, out, pace)
	}
	return nil
}

// work works jobs until ctx ends, and then finishes those it has begun, for as
// long as SoftStopTimeout allows.
func work(ctx context.Context, jobs queue) error {
	if err := jobs.Start(ctx); err != nil {
		return fmt.Errorf("start working: %w", err)
	}
	<-jobs.Stopped()
	return nil
}
