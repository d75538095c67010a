package ops

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"time"

	"github.com/clerkorg/clerkorg-go"
)

// probeTimeout is how long a check may take: shorter than the second that Kubernetes
// waits.
const probeTimeout = 800 * time.Millisecond

// Probes answers an orchestrator.
type Probes struct {
	// Checks are the parts without which the service can do nothing, by name: each
	// returns nil where its part answers.
	Checks map[string]func(context.Context) error

	// Client's quotas are told, and do not decide: a service whose quota is spent or
	// closed still answers, with when to come again. Were it not ready, all replicas
	// would go at once, since they share the quota.
	Client *clerkorg.Client

	Log *slog.Logger
}

type readiness struct {
	Status string            `json:"status"` // ready, or unavailable
	Parts  map[string]string `json:"parts"`  // ok, or unreachable: the log has why
	Quotas []quota           `json:"quotas,omitempty"`
}

type quota struct {
	Name        string     `json:"name"`
	Limit       int        `json:"limit"`
	Available   int        `json:"available"`
	ClosedUntil *time.Time `json:"closed_until,omitempty"`
}

// Register adds GET /healthz, which is 200 as long as the process answers, and GET
// /readyz, which is 503 while a part does not.
func (p *Probes) Register(mux *http.ServeMux) {
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, map[string]string{"status": "ok"})
	})
	mux.HandleFunc("GET /readyz", p.ready)
}

func (p *Probes) ready(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), probeTimeout)
	defer cancel()
	status, told := http.StatusOK, readiness{Status: "ready", Parts: map[string]string{}}
	for name, check := range p.Checks {
		told.Parts[name] = "ok"
		if err := check(ctx); err != nil {
			p.Log.WarnContext(ctx, "not ready", "part", name, "err", err)
			status, told.Status, told.Parts[name] = http.StatusServiceUnavailable, "unavailable", "unreachable"
		}
	}
	if status == http.StatusOK && p.Client != nil {
		for _, name := range []string{clerkorg.QuotaBulk, clerkorg.QuotaCreate, clerkorg.QuotaInstance} {
			state, err := p.Client.Quota(ctx, name)
			if err != nil {
				p.Log.WarnContext(ctx, "the quota is unknown", "quota", name, "err", err)
				continue
			}
			q := quota{Name: name, Limit: state.Quota.Limit, Available: state.Available}
			if !state.ClosedUntil.IsZero() {
				q.ClosedUntil = &state.ClosedUntil
			}
			told.Quotas = append(told.Quotas, q)
		}
	}
	answer(w, status, told)
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) //nolint:errchkjson // A caller who has left needs no answer.
}
