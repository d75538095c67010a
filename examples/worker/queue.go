package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/riverqueue/river/rivermigrate"
	"github.com/riverqueue/river/rivertype"
	_ "modernc.org/sqlite" // the driver "sqlite", without cgo
)

// queue is what this program needs of a river.Client, on either database.
type queue interface {
	InsertMany(ctx context.Context, params []river.InsertManyParams) ([]*rivertype.JobInsertResult, error)
	JobList(ctx context.Context, params *river.JobListParams) (*river.JobListResult, error)
	Start(ctx context.Context) error
	Stopped() <-chan struct{}
	Subscribe(kinds ...river.EventKind) (<-chan *river.Event, func())
	JobRetry(ctx context.Context, id int64) (*rivertype.JobRow, error)
	Ping(ctx context.Context) error // the database
}

// pingable is a River client and its database.
type pingable[TTx any] struct {
	*river.Client[TTx]

	ping func(context.Context) error
}

// Ping asks the database whether it answers.
func (p pingable[TTx]) Ping(ctx context.Context) error { return p.ping(ctx) }

// openQueue opens the database at address, "sqlite:" and a file or a PostgreSQL
// URL, and brings River's tables in it up to date.
func openQueue(ctx context.Context, address string, config *river.Config) (jobs queue, done func(), err error) {
	config.Logger = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	if file, ok := strings.CutPrefix(address, "sqlite:"); ok {
		db, err := openSQLite(file)
		if err != nil {
			return nil, nil, err
		}
		jobs, err = newQueue(ctx, riversqlite.New(db), db.PingContext, config)
		done = func() { _ = db.Close() }
		if err != nil {
			done()
		}
		return jobs, done, err
	}
	pool, err := pgxpool.New(ctx, address)
	if err != nil {
		return nil, nil, errors.New("DATABASE_URL cannot be read") // it may hold a password
	}
	if jobs, err = newQueue(ctx, riverpgxv5.New(pool), pool.Ping, config); err != nil {
		pool.Close()
	}
	return jobs, pool.Close, err
}

// openSQLite opens a file for River's goroutines and other processes at once: one
// connection, and a wait for locks.
func openSQLite(file string) (*sql.DB, error) {
	pragmas := url.Values{"_pragma": {"busy_timeout(5000)", "journal_mode(WAL)"}, "_txlock": {"immediate"}}
	db, err := sql.Open("sqlite", (&url.URL{Scheme: "file", Opaque: url.PathEscape(file), RawQuery: pragmas.Encode()}).String())
	if err != nil {
		return nil, fmt.Errorf("open the SQLite file: %w", err)
	}
	db.SetMaxOpenConns(1)
	return db, nil
}

func newQueue[TTx any](ctx context.Context, driver riverdriver.Driver[TTx], ping func(context.Context) error, config *river.Config) (queue, error) {
	if err := migrate(ctx, driver, config.Logger); err != nil {
		return nil, err
	}
	client, err := river.NewClient(driver, config)
	if err != nil {
		return nil, fmt.Errorf("set up the job queue: %w", err)
	}
	return pingable[TTx]{client, ping}, nil
}

// migrate makes River's tables. Where many workers start at once, do it once,
// with the deployment, instead of here.
func migrate[TTx any](ctx context.Context, driver riverdriver.Driver[TTx], log *slog.Logger) error {
	migrator, err := rivermigrate.New(driver, &rivermigrate.Config{Logger: log})
	if err == nil {
		_, err = migrator.Migrate(ctx, rivermigrate.DirectionUp, nil)
	}
	if err != nil {
		return fmt.Errorf("prepare the database: %w", err)
	}
	return nil
}
