package ops

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// Serve serves probes on an address of their own until ctx ends, for a process that serves
// nothing else. It returns when it listens, and where.
func Serve(ctx context.Context, address string, handler http.Handler, log *slog.Logger) (where string, err error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return "", err
	}
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 5 * time.Second,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	go func() { _ = server.Serve(listener) }() // ends with Close
	context.AfterFunc(ctx, func() { _ = server.Close() })
	return listener.Addr().String(), nil
}
