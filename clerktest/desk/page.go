package desk

import (
	"bytes"
	"context"
	"crypto/subtle"
	"embed"
	"encoding/json"
	"fmt"
	"hash/maphash"
	"html/template"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/clerkorg/clerkorg-go/clerktest"
)

//go:embed page.html page.css page.js
var files embed.FS

var page = template.Must(template.New("page.html").Funcs(template.FuncMap{
	"clock":  func(t time.Time) string { return t.Local().Format("15:04:05") },
	"day":    func(t time.Time) string { return t.Local().Format("2 January 2006, 15:04") },
	"quota":  quotaName,
	"window": windowName,
	"role":   roleName,
	"tone":   tone,
}).ParseFS(files, "page.html"))

// sections are the parts of the page that change by themselves, by the ids that they have
// in it.
var sections = []string{"summary", "quotas", "inbox", "people", "calls", "webhooks", "faults"}

// interval is how often the page looks for what has changed.
const interval = 200 * time.Millisecond

// shown is what the page is made of.
type shown struct {
	state
	Token   string
	Presets []preset
}

// preset is a switch for a fault.
type preset struct {
	Name, Text string
	On         bool

	fault fault
}

var presets = []preset{
	{Name: "down", Text: "Clerk is down (503)", fault: fault{Kind: "status", Status: 503}},
	{Name: "failing", Text: "Creates fail halfway: done, then 500", fault: fault{Operation: clerktest.OpBulk, Kind: "status-after", Status: 500}},
	{Name: "lost", Text: "Answers to bulk calls get lost", fault: fault{Operation: clerktest.OpBulk, Kind: "reset-after"}},
	{Name: "slow", Text: "Answers take 3 s longer", fault: fault{Kind: "delay-after", Delay: "3s"}},
	{Name: "closed", Text: "429 to bulk calls, for 30 s", fault: fault{Operation: clerktest.OpBulk, Kind: "status", Status: 429, RetryAfter: 30}},
	{Name: "proxy", Text: "A proxy answers with HTML (502)", fault: fault{Kind: "html", Status: 502}},
	{Name: "flaky", Text: "One call in four breaks", fault: fault{Kind: "reset-before", Probability: 0.25}},
}

// page adds the paths for people.
func (d *Desk) page(mux *http.ServeMux) {
	mux.HandleFunc("GET "+root+"{$}", func(w http.ResponseWriter, _ *http.Request) {
		var html bytes.Buffer
		if err := page.Execute(&html, d.shown()); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		header := w.Header()
		header.Set("Content-Type", "text/html; charset=utf-8")
		header.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
		header.Set("Referrer-Policy", "no-referrer")
		_, _ = w.Write(html.Bytes()) // the browser may be gone
	})
	mux.Handle("GET "+root[:len(root)-1], http.RedirectHandler(root, http.StatusSeeOther))
	assets := http.StripPrefix(root, http.FileServerFS(files))
	mux.Handle("GET "+root+"page.css", assets)
	mux.Handle("GET "+root+"page.js", assets)
	mux.HandleFunc("GET "+root+"events", d.events)
	mux.HandleFunc("POST "+root+"do", d.do)
}

func (d *Desk) shown() shown {
	now := shown{state: d.state(), Token: d.token}
	for _, p := range presets {
		for _, f := range d.activeFaults() {
			p.On = p.On || f.preset == p.Name
		}
		now.Presets = append(now.Presets, p)
	}
	return now
}

// Current is the organization that invitations go to by default.
func (s shown) Current() organization {
	for _, o := range s.Organizations {
		if o.ID == s.OrganizationID {
			return o
		}
	}
	return organization{}
}

// Mails are the invitations of all kinds, the newest first.
func (s shown) Mails() []invitation {
	all := slices.Clone(s.Application)
	for _, o := range s.Organizations {
		all = append(all, o.Invitations...)
	}
	slices.SortStableFunc(all, func(a, b invitation) int { return b.CreatedAt.Compare(a.CreatedAt) })
	return all
}

// Others are the faults that programs have switched on.
func (s shown) Others() (others []fault) {
	for _, f := range s.Faults {
		if f.preset == "" {
			others = append(others, f)
		}
	}
	return others
}

// events sends each section when it has changed, as server-sent events.
func (d *Desk) events(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	flusher := http.NewResponseController(w)
	seed, sent := maphash.MakeSeed(), map[string]uint64{}
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		now := d.shown()
		changed := map[string]string{}
		for _, section := range sections {
			var html bytes.Buffer
			if err := page.ExecuteTemplate(&html, section, now); err != nil {
				return
			}
			if hash := maphash.Bytes(seed, html.Bytes()); sent[section] != hash {
				sent[section], changed[section] = hash, html.String()
			}
		}
		if len(changed) > 0 {
			data, err := json.Marshal(changed)
			if err != nil {
				return
			}
			if _, err := fmt.Fprintf(w, "data: %s\n\n", data); err != nil || flusher.Flush() != nil {
				return
			}
		}
		select {
		case <-ticker.C:
		case <-r.Context().Done():
			return
		}
	}
}

// do carries out what a form of the page asks for.
func (d *Desk) do(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	if subtle.ConstantTimeCompare([]byte(r.PostFormValue("token")), []byte(d.token)) != 1 {
		http.Error(w, "This form is not one of the page as it is now: load it again.", http.StatusForbidden)
		return
	}
	if err := d.act(r.Context(), r.PostFormValue("do"), r.PostFormValue("to")); err != nil {
		http.Error(w, err.Error(), http.StatusConflict)
		return
	}
	http.Redirect(w, r, root, http.StatusSeeOther)
}

func (d *Desk) act(_ context.Context, what, to string) error {
	switch what {
	case "accept":
		return d.server.AcceptInvitation(to)
	case "decline": // Clerk has no such status
		return d.server.RevokeInvitation(to)
	case "expire":
		return d.server.ExpireInvitation(to)
	case "reset":
		_, err := d.reset(nil)
		return err
	case "advance":
		by, err := time.ParseDuration(to)
		if err != nil {
			return err
		}
		d.server.AdvanceClock(by)
	case "remove":
		d.remove(func(f *fault) bool { return strconv.Itoa(f.ID) == to })
	case "switch":
		for _, p := range presets {
			if p.Name != to {
				continue
			}
			if d.remove(func(f *fault) bool { return f.preset == to }) > 0 {
				return nil
			}
			on := p.fault
			on.preset = p.Name
			return d.inject(&on)
		}
		return fmt.Errorf("there is no switch %q", to)
	default:
		return fmt.Errorf("nothing is called %q", what)
	}
	return nil
}

// quotaName is what a quota is about, in words.
func quotaName(op clerktest.Operation) string {
	switch op {
	case clerktest.QuotaInstance:
		return "All calls"
	case clerktest.OpBulk:
		return "Bulk invitations"
	case clerktest.OpCreate:
		return "Single invitations"
	case clerktest.OpApplicationBulk:
		return "To the application, bulk"
	case clerktest.OpApplicationCreate:
		return "To the application, single"
	}
	return string(op)
}

func windowName(window string) string {
	if d, err := time.ParseDuration(window); err == nil {
		switch {
		case d == time.Hour:
			return "an hour"
		case d%time.Hour == 0:
			return fmt.Sprintf("%d hours", d/time.Hour)
		case d%time.Minute == 0:
			return fmt.Sprintf("%d min", d/time.Minute)
		case d%time.Second == 0:
			return fmt.Sprintf("%d s", d/time.Second)
		}
	}
	return window
}

func roleName(role string) string {
	switch role {
	case "org:admin":
		return "an admin"
	case "org:member":
		return "a member"
	}
	return role
}

// tone is the class of a status.
func tone(status int) string {
	switch {
	case status == 429:
		return "warn"
	case status >= 200 && status < 300:
		return "good"
	}
	return "bad"
}
