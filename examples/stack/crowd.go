package main

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/clerkorg/clerkorg-go/clerktest"
)

const token = "the callers' own secret" //nolint:gosec // of this demonstration

func address(i int) string { return fmt.Sprintf("guest-%03d@example.com", i) }

// invite has all people invited, some by the workers and the others by the handlers, and
// kills one of each while they work.
func (s *stack) invite(ctx context.Context) error {
	fmt.Fprintf(s.out, "%d people: %d in %d jobs for the workers, the others through the handlers, %d a request\n",
		people, byWorkers, byWorkers/batch, batch)
	if err := s.enqueue(ctx); err != nil {
		return err
	}
	var group sync.WaitGroup
	failures := make([]error, 3)
	group.Go(func() { failures[0] = s.killWhen(ctx, s.workers[0], killWorker) })
	group.Go(func() { failures[1] = s.killWhen(ctx, s.handlers[0], killHandler) })
	group.Go(func() { failures[2] = s.request(ctx, byWorkers, people-afterwards) })
	group.Wait()
	for _, err := range failures {
		if err != nil {
			return err
		}
	}
	fmt.Fprintln(s.out, "the handlers are done; the jobs of the dead worker go on when it is known to be dead")
	if err := eventually(ctx, "the jobs are completed", s.completed(ctx)); err != nil {
		return err
	}
	fmt.Fprintf(s.out, "the jobs are done; the last %d people take what is left of the quota\n", afterwards)
	return s.request(ctx, people-afterwards, people)
}

// killWhen kills a process when Clerk has seen so many bulk calls.
func (s *stack) killWhen(ctx context.Context, p *process, calls int) error {
	err := eventually(ctx, "Clerk has seen enough calls", func() (bool, error) { return s.clerk.CallCount(clerktest.OpBulk) >= calls, nil })
	if err != nil {
		return err
	}
	p.kill()
	fmt.Fprintf(s.out, "%s is killed, after %d bulk calls of all\n", p.name, s.clerk.CallCount(clerktest.OpBulk))
	return nil
}

// worker runs the worker's program for a moment.
func (s *stack) worker(ctx context.Context, args ...string) (string, error) {
	command := exec.CommandContext(ctx, filepath.Join(s.dir, "worker"), append(args, "-sqlite", s.sqlite())...) //nolint:gosec // built by the stack
	command.Env = append(s.env, "OTEL_METRICS_EXPORTER=")
	said, err := command.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("worker %s: %w\n%s", args[0], err, said)
	}
	return string(said), nil
}

func (s *stack) enqueue(ctx context.Context) error {
	file, err := os.Create(filepath.Join(s.dir, "people.csv"))
	if err != nil {
		return err
	}
	lines := csv.NewWriter(file)
	for i := range byWorkers {
		_ = lines.Write([]string{address(i)}) // told by Error
	}
	lines.Flush()
	if err := lines.Error(); err != nil {
		return err
	}
	if err := file.Close(); err != nil {
		return err
	}
	_, err = s.worker(ctx, "-enqueue", file.Name())
	return err
}

// completed reports whether all jobs are completed, and prints once what the report says
// of a dead worker.
func (s *stack) completed(ctx context.Context) func() (bool, error) {
	told, next := false, time.Time{}
	return func() (bool, error) {
		if time.Now().Before(next) {
			return false, nil
		}
		next = time.Now().Add(2 * time.Second)
		report, err := s.worker(ctx, "-report")
		if err != nil {
			return false, err
		}
		for line := range strings.Lines(report) {
			if strings.HasPrefix(line, "dead worker") && !told {
				told = true
				fmt.Fprint(s.out, "  ", line)
			}
		}
		return strings.Contains(report, fmt.Sprintf("jobs: %d completed\n", byWorkers/batch)), nil
	}
}

// request sends people, from the first to before the last, to the handlers, several
// requests at once.
func (s *stack) request(ctx context.Context, first, last int) error {
	var group sync.WaitGroup
	var mu sync.Mutex
	var failure error
	slots := make(chan struct{}, 2*handlers)
	for i := first; i < last; i += batch {
		slots <- struct{}{}
		group.Go(func() {
			defer func() { <-slots }()
			if err := s.requestOnce(ctx, i); err != nil {
				mu.Lock()
				defer mu.Unlock()
				failure = err
			}
		})
	}
	group.Wait()
	return failure
}

var turn atomic.Int64 // whose handler is next

// requestOnce sends ten people until a handler has an outcome for each: to the next
// handler if one is dead or cannot, and always with the same Idempotency-Key.
func (s *stack) requestOnce(ctx context.Context, first int) error {
	type person struct {
		EmailAddress string `json:"email_address"`
	}
	var body struct {
		Invitations []person `json:"invitations"`
	}
	for i := range batch {
		body.Invitations = append(body.Invitations, person{address(first + i)})
	}
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	return eventually(ctx, fmt.Sprintf("people %d and on have an outcome", first), func() (bool, error) {
		handler := s.handlers[int(turn.Add(1))%len(s.handlers)]
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, handler.url+"/organizations/"+s.clerk.organization+"/invitations", bytes.NewReader(text))
		if err != nil {
			return false, err
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Authorization", "Bearer "+token)
		req.Header.Set("Idempotency-Key", "people-"+strconv.Itoa(first))
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return false, nil //nolint:nilerr // it is dead, or dies: another one is asked
		}
		defer resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			return true, nil
		}
		wait, _ := strconv.Atoi(resp.Header.Get("Retry-After")) // 0 where there is none
		select {
		case <-time.After(time.Duration(max(1, wait)) * time.Second):
		case <-ctx.Done():
		}
		return false, nil
	})
}
