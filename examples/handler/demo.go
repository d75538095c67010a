package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/clerkorg/clerkorg-go/examples/internal/ops"
)

// demonstrate serves on a free port, makes requests to itself and prints them.
func demonstrate(ctx context.Context, out io.Writer, b backend, organization string) (err error) {
	numbers := sdkmetric.NewManualReader()
	t := ops.NewTelemetry(nil, []sdkmetric.Option{sdkmetric.WithReader(numbers)})
	log := slog.New(slog.DiscardHandler)
	handler, done, err := newHandler(b, t, log)
	if err != nil {
		return err
	}
	defer done()
	defer t.Shutdown(log)
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	serving, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- serve(serving, listener, handler, log) }()
	defer func() {
		stop()
		err = errors.Join(err, <-ended)
	}()

	base := "http://" + listener.Addr().String() + "/organizations/"
	fmt.Fprintf(out, "Serving on %s against a Clerk in memory.\n", listener.Addr())
	for _, request := range []struct{ title, organization, body string }{
		{"Three people", organization, `{"invitations":[{"email_address":"ada@example.com","role":"org:admin"},{"email_address":"charles@example.com"},{"email_address":"grace@example.com"}]}`},
		{"One of them again, with a new person", organization, `{"invitations":[{"email_address":"ada@example.com"},{"email_address":"alan@example.com"}]}`},
		{"One of them again, alone", organization, `{"invitations":[{"email_address":"ada@example.com"}]}`},
		{"One address that is not valid", organization, `{"invitations":[{"email_address":"ada"},{"email_address":"barbara@example.com"}]}`},
		{"An unknown field", organization, `{"invitations":[{"emailAddress":"ada@example.com"}]}`},
		{"An unknown organization", "org_nowhere", `{"invitations":[{"email_address":"ada@example.com"}]}`},
	} {
		if err := ask(ctx, out, request.title, base+request.organization+"/invitations", request.body); err != nil {
			return err
		}
	}
	return printQuotas(ctx, out, numbers)
}

func ask(ctx context.Context, out io.Writer, title, url, body string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, answer, "  ", "  "); err != nil {
		return err
	}
	fmt.Fprintf(out, "\n%s\n  %s\n  %s\n  %s", title, body, resp.Status, pretty.String())
	return nil
}

func printQuotas(ctx context.Context, out io.Writer, numbers sdkmetric.Reader) error {
	var all metricdata.ResourceMetrics
	if err := numbers.Collect(ctx, &all); err != nil {
		return err
	}
	fmt.Fprint(out, "\nMetrics\n")
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			gauge, ok := m.Data.(metricdata.Gauge[int64])
			if !ok {
				fmt.Fprintf(out, "  %s\n", m.Name)
				continue
			}
			for _, point := range gauge.DataPoints {
				name, _ := point.Attributes.Value("clerk.quota")
				fmt.Fprintf(out, "  %s{%s} %d\n", m.Name, name.AsString(), point.Value)
			}
		}
	}
	return nil
}
