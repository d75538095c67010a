package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"
)

func (s *stack) closer(do func() error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closers = append(s.closers, do)
}

// daemon starts a server of the stack's own, which ends with it.
func (s *stack) daemon(ctx context.Context, name string, args ...string) error {
	command := exec.CommandContext(context.WithoutCancel(ctx), name, args...) //nolint:gosec // found on the PATH
	if err := command.Start(); err != nil {
		return err
	}
	s.closer(func() error {
		_ = command.Process.Signal(syscall.SIGTERM)
		_ = command.Wait() // it was told to end
		return nil
	})
	return nil
}

// redis returns the address of a Redis that answers.
func (s *stack) redis(ctx context.Context) (address string, err error) {
	address = os.Getenv("REDIS_URL")
	if address == "" {
		port, err := freePort(ctx)
		if err != nil {
			return "", err
		}
		if err := s.daemon(ctx, "redis-server", "--port", fmt.Sprint(port), "--bind", "127.0.0.1", "--dir", s.dir, "--save", ""); err != nil {
			return "", fmt.Errorf("no Redis: set REDIS_URL, or have redis-server on the PATH: %w", err)
		}
		address = fmt.Sprintf("redis://127.0.0.1:%d", port)
	}
	opts, err := redis.ParseURL(address)
	if err != nil {
		return "", fmt.Errorf("REDIS_URL cannot be read")
	}
	client := redis.NewClient(opts)
	defer client.Close()
	return address, eventually(ctx, "Redis answers", func() (bool, error) { return client.Ping(ctx).Err() == nil, nil })
}

func (s *stack) sqlite() string { return filepath.Join(s.dir, "jobs.sqlite") }

// postgres returns the address of a schema of the stack's own, or nothing where SQLite has
// to do.
func (s *stack) postgres(ctx context.Context) (address string, err error) {
	address = os.Getenv("DATABASE_URL")
	if address == "" {
		if address, err = s.ownPostgres(ctx); err != nil {
			fmt.Fprintf(s.out, "Jobs are in SQLite: DATABASE_URL is not set, and %s\n", err)
			return "", nil
		}
	}
	var connection *pgx.Conn
	err = eventually(ctx, "PostgreSQL answers", func() (bool, error) {
		connection, err = pgx.Connect(ctx, address)
		return err == nil, nil
	})
	if err != nil {
		return "", err
	}
	schema := "stack_" + strings.ToLower(rand.Text()[:10])
	if _, err := connection.Exec(ctx, "CREATE SCHEMA "+schema); err != nil {
		return "", fmt.Errorf("make a schema for the jobs: %w", err)
	}
	s.closer(func() error {
		_, err := connection.Exec(context.WithoutCancel(ctx), "DROP SCHEMA "+schema+" CASCADE")
		return cmp.Or(err, connection.Close(context.WithoutCancel(ctx)))
	})
	u, err := url.Parse(address)
	if err != nil {
		return "", fmt.Errorf("DATABASE_URL must be a URL")
	}
	query := u.Query()
	query.Set("search_path", schema)
	u.RawQuery = query.Encode()
	return u.String(), nil
}

// ownPostgres starts a PostgreSQL with the programs on the PATH.
func (s *stack) ownPostgres(ctx context.Context) (address string, err error) {
	if os.Geteuid() == 0 {
		return "", fmt.Errorf("postgres does not run as root")
	}
	data := filepath.Join(s.dir, "postgres")
	initdb := exec.CommandContext(ctx, "initdb", "--auth=trust", "--username=postgres", "--pgdata="+data) //nolint:gosec // into a folder of its own
	if said, err := initdb.CombinedOutput(); err != nil {
		return "", fmt.Errorf("initdb: %w %s", err, said)
	}
	port, err := freePort(ctx)
	if err != nil {
		return "", err
	}
	if err := s.daemon(ctx, "postgres", "-D", data, "-p", fmt.Sprint(port), "-h", "127.0.0.1", "-k", s.dir); err != nil {
		return "", err
	}
	return fmt.Sprintf("postgres://postgres@127.0.0.1:%d/postgres?sslmode=disable", port), nil
}
