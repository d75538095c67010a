package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"
)

// process is a handler or a worker.
type process struct {
	name    string
	url     string // of its routes, or of its probes
	metrics string // what Prometheus would read
	command *exec.Cmd
	ended   chan struct{}
	killed  bool
}

// build builds the programs.
func (s *stack) build(ctx context.Context) error {
	const module = "github.com/clerkorg/clerkorg-go/examples/"
	command := exec.CommandContext(ctx, "go", "build", "-o", s.dir+string(filepath.Separator), module+"handler", module+"worker") //nolint:gosec // into a folder of its own
	if said, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("build the programs, from a folder of the repository: %w\n%s", err, said)
	}
	return nil
}

// where finds the address in a line of a log.
var where = regexp.MustCompile(`"?url"?[=:]"?(http://[^"\s]+)`)

// begin starts a program and returns when it is ready. Another one may take the port of
// its metrics first: then it begins again.
func (s *stack) begin(ctx context.Context, name, program string, args ...string) (p *process, err error) {
	for range 5 {
		p, err = s.beginOnce(ctx, name, program, args...)
		if err == nil || !strings.Contains(err.Error(), "address already in use") {
			break
		}
	}
	return p, err
}

// beginOnce starts a program, whose log goes to a file.
func (s *stack) beginOnce(ctx context.Context, name, program string, args ...string) (*process, error) {
	port, err := freePort(ctx)
	if err != nil {
		return nil, err
	}
	p := &process{name: name, metrics: fmt.Sprintf("http://127.0.0.1:%d/metrics", port), ended: make(chan struct{})}
	// The end of ctx does not kill it: stop does, and lets it end well.
	p.command = exec.CommandContext(context.WithoutCancel(ctx), filepath.Join(s.dir, program), args...) //nolint:gosec // built above
	p.command.Env = append(s.env, "OTEL_METRICS_EXPORTER=prometheus", "OTEL_EXPORTER_PROMETHEUS_HOST=127.0.0.1",
		fmt.Sprint("OTEL_EXPORTER_PROMETHEUS_PORT=", port), "OTEL_SERVICE_NAME="+program)
	log, err := os.Create(filepath.Join(s.dir, strings.ReplaceAll(name, " ", "-")+".log"))
	if err != nil {
		return nil, err
	}
	p.command.Stderr = log
	stdout, err := p.command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.command.Start(); err != nil {
		return nil, err
	}
	found := make(chan string, 1)
	go func() {
		defer close(p.ended)
		defer log.Close()
		for lines := bufio.NewScanner(stdout); lines.Scan(); {
			_, _ = fmt.Fprintln(log, lines.Text())
			if match := where.FindStringSubmatch(lines.Text()); match != nil {
				select {
				case found <- match[1]:
				default: // it is known
				}
			}
		}
		_ = p.command.Wait() // how it ended is asked of ProcessState
	}()
	select {
	case p.url = <-found:
	case <-p.ended:
		said, _ := os.ReadFile(log.Name())
		return nil, fmt.Errorf("%s ended: %s", name, said)
	case <-time.After(time.Minute):
		p.kill()
		return nil, fmt.Errorf("%s does not start", name)
	}
	s.closer(p.stop)
	return p, p.ready(ctx)
}

// ready waits until the process can work.
func (p *process) ready(ctx context.Context) error {
	return eventually(ctx, p.name+" is ready", func() (bool, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url+"/readyz", http.NoBody)
		if err != nil {
			return false, err
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return false, nil //nolint:nilerr // not yet
		}
		defer resp.Body.Close()
		return resp.StatusCode == http.StatusOK, nil
	})
}

// kill ends the process at once: it cannot tell anything to anyone any more.
func (p *process) kill() {
	p.killed = true
	_ = p.command.Process.Kill()
	<-p.ended
}

// stop ends the process, unless it was killed, as a deployment would.
func (p *process) stop() error {
	if p.killed {
		return nil
	}
	_ = p.command.Process.Signal(syscall.SIGTERM) // it may have ended
	select {
	case <-p.ended:
	case <-time.After(40 * time.Second):
		p.kill()
		return fmt.Errorf("%s did not stop", p.name)
	}
	if state := p.command.ProcessState; state == nil || !state.Success() {
		return fmt.Errorf("%s: %s", p.name, state)
	}
	return nil
}

// eventually waits for what other processes do.
func eventually(ctx context.Context, what string, happened func() (bool, error)) error {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errors.New("it took longer than "+patience.String()))
	defer cancel()
	for {
		done, err := happened()
		if done || err != nil {
			return err
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("wait until %s: %w", what, context.Cause(ctx))
		}
	}
}

func freePort(ctx context.Context) (int, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer listener.Close()
	address, ok := listener.Addr().(*net.TCPAddr)
	if !ok {
		return 0, fmt.Errorf("no port in %s", listener.Addr())
	}
	return address.Port, nil
}
