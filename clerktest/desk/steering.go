package desk

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/clerkorg/clerkorg-go/clerktest"
)

// refusal is what is wrong with a request.
type refusal struct {
	status            int
	code, param, text string
}

func (r *refusal) Error() string { return r.text }

func wrong(param, format string, args ...any) error {
	return &refusal{http.StatusUnprocessableEntity, "form_param_value_invalid", param, fmt.Sprintf(param+" "+format, args...)}
}

// refuse answers with an error of Clerk's shape.
func refuse(w http.ResponseWriter, status int, code, param, text string) {
	type detail struct {
		Message     string            `json:"message"`
		LongMessage string            `json:"long_message"`
		Code        string            `json:"code"`
		Meta        map[string]string `json:"meta,omitempty"`
	}
	problem := detail{Message: strings.ReplaceAll(code, "_", " "), LongMessage: text, Code: code}
	if param != "" {
		problem.Meta = map[string]string{"param_name": param}
	}
	answer(w, status, map[string]any{"errors": []detail{problem}})
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) //nolint:errchkjson // The client may be gone.
}

// steering adds the paths for programs.
func (d *Desk) steering(mux *http.ServeMux) {
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, map[string]string{"status": "ok"})
	})
	mux.HandleFunc("GET "+root+"state", func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, d.state()) })
	for path, do := range map[string]func(r *http.Request) (any, error){
		"POST reset":                   d.reset,
		"POST organizations":           d.addOrganization,
		"POST members":                 d.addMember,
		"POST invitations":             d.addInvitation,
		"POST invitations/{id}/accept": d.onInvitation(d.server.AcceptInvitation),
		"POST invitations/{id}/expire": d.onInvitation(d.server.ExpireInvitation),
		"POST invitations/{id}/revoke": d.onInvitation(d.server.RevokeInvitation),
		"POST faults":                  d.addFault,
		"DELETE faults":                d.removeFaults,
		"DELETE faults/{id}":           d.removeFaults,
		"POST quotas":                  d.setQuota,
		"POST clock":                   d.advance,
	} {
		mux.HandleFunc(strings.Replace(path, " ", " "+root, 1), func(w http.ResponseWriter, r *http.Request) {
			result, err := do(r)
			var no *refusal
			switch {
			case errors.As(err, &no):
				refuse(w, no.status, no.code, no.param, no.text)
			case err != nil:
				refuse(w, http.StatusBadRequest, "bad_request", "", strings.TrimPrefix(err.Error(), "clerktest: "))
			default:
				answer(w, http.StatusOK, result)
			}
		})
	}
}

var done = map[string]bool{"ok": true}

// read decodes the body of a request into v, and refuses fields that v has not.
func read(r *http.Request, v any) error {
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != "application/json" {
		return &refusal{http.StatusUnsupportedMediaType, "unsupported_content_type", "", "The Content-Type has to be application/json."}
	}
	decoder := json.NewDecoder(http.MaxBytesReader(nil, r.Body, 1<<20))
	decoder.DisallowUnknownFields()
	err = decoder.Decode(v)
	if err == nil {
		if _, more := decoder.Token(); errors.Is(more, io.EOF) {
			return nil
		}
		err = errors.New("something follows the object")
	}
	param := ""
	var mistyped *json.UnmarshalTypeError
	if errors.As(err, &mistyped) {
		param = mistyped.Field
	} else if _, name, ok := strings.Cut(err.Error(), "unknown field "); ok {
		param = strings.Trim(name, `"`)
	}
	return &refusal{http.StatusBadRequest, "request_body_invalid", param, "The body is not the object that is wanted: " + strings.TrimPrefix(err.Error(), "json: ") + "."}
}

func (d *Desk) reset(*http.Request) (any, error) {
	d.server.Reset()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.faults = nil
	return done, nil
}

func (d *Desk) addOrganization(r *http.Request) (any, error) {
	var o struct {
		Name string `json:"name"`
		Slug string `json:"slug"`
		Most int    `json:"max_allowed_memberships"`
	}
	if err := read(r, &o); err != nil {
		return nil, err
	}
	if o.Most < 0 {
		return nil, wrong("max_allowed_memberships", "must not be negative")
	}
	id := d.server.AddOrganization(clerktest.Organization{Name: o.Name, Slug: o.Slug, MaxAllowedMemberships: o.Most})
	return map[string]string{"id": id}, nil
}

// person is who is to be added to an organization.
type person struct {
	OrganizationID string `json:"organization_id"`
	EmailAddress   string `json:"email_address"`
	Role           string `json:"role"`
}

func (d *Desk) person(r *http.Request) (p person, err error) {
	if err := read(r, &p); err != nil {
		return p, err
	}
	if !strings.Contains(p.EmailAddress, "@") {
		return p, wrong("email_address", "must be an e-mail address")
	}
	if p.OrganizationID == "" {
		p.OrganizationID = d.server.OrganizationID()
	}
	if p.Role == "" {
		p.Role = "org:member"
	}
	return p, nil
}

func (d *Desk) addMember(r *http.Request) (any, error) {
	p, err := d.person(r)
	if err != nil {
		return nil, err
	}
	return identified("user_id", d.server.AddMember(p.OrganizationID, p.EmailAddress, p.Role))
}

func (d *Desk) addInvitation(r *http.Request) (any, error) {
	p, err := d.person(r)
	if err != nil {
		return nil, err
	}
	return identified("id", d.server.AddInvitation(p.OrganizationID, p.EmailAddress, p.Role))
}

func identified(name, id string) (any, error) {
	if id == "" {
		return nil, &refusal{http.StatusNotFound, "resource_not_found", "organization_id", "There is no such organization."}
	}
	return map[string]string{name: id}, nil
}

func (d *Desk) onInvitation(do func(id string) error) func(r *http.Request) (any, error) {
	return func(r *http.Request) (any, error) { return done, do(r.PathValue("id")) }
}

func (d *Desk) setQuota(r *http.Request) (any, error) {
	var q struct {
		Operation clerktest.Operation `json:"operation"`
		Limit     int                 `json:"limit"`
		Window    string              `json:"window"`
		Counting  string              `json:"counting"`
	}
	if err := read(r, &q); err != nil {
		return nil, err
	}
	if q.Counting != "" {
		window, err := ParseWindow(q.Counting)
		if err != nil {
			return nil, wrong("counting", "%v", err)
		}
		d.server.SetRateLimits(window)
		return done, nil
	}
	if !slices.Contains(append(clerktest.Operations(), clerktest.QuotaInstance), q.Operation) {
		return nil, wrong("operation", "must be %s or one of the operations, as %s", clerktest.QuotaInstance, clerktest.OpBulk)
	}
	window, err := time.ParseDuration(q.Window)
	if err != nil && q.Limit > 0 {
		return nil, wrong("window", `must be a duration, as "10s"`)
	}
	d.server.SetQuota(q.Operation, q.Limit, window)
	return done, nil
}

// ParseWindow returns the way to count that has the name.
func ParseWindow(name string) (clerktest.Window, error) {
	var names []string
	for _, window := range clerktest.Windows() {
		if window.String() == name {
			return window, nil
		}
		names = append(names, window.String())
	}
	return 0, fmt.Errorf("must be one of %s", strings.Join(names, ", "))
}

func (d *Desk) advance(r *http.Request) (any, error) {
	var c struct {
		Advance string `json:"advance"`
	}
	if err := read(r, &c); err != nil {
		return nil, err
	}
	by, err := time.ParseDuration(c.Advance)
	if err != nil || by <= 0 {
		return nil, wrong("advance", `must be a duration, as "1h"`)
	}
	d.server.AdvanceClock(by)
	return map[string]time.Time{"now": d.server.Now()}, nil
}

// fault is one that is switched on.
type fault struct {
	ID          int                 `json:"id"`
	Operation   clerktest.Operation `json:"operation"` // empty for all
	Kind        string              `json:"kind"`
	Status      int                 `json:"status,omitempty"`
	Code        string              `json:"code,omitempty"`
	RetryAfter  int                 `json:"retry_after,omitempty"`
	Delay       string              `json:"delay,omitempty"`
	Calls       []int               `json:"calls,omitempty"`
	Probability float64             `json:"probability,omitempty"`
	Count       int                 `json:"count,omitempty"`

	remove func()
	preset string // the switch of the page that it belongs to
}

func (d *Desk) addFault(r *http.Request) (any, error) {
	var f fault
	if err := read(r, &f); err != nil {
		return nil, err
	}
	if err := d.inject(&f); err != nil {
		return nil, err
	}
	return map[string]int{"id": f.ID}, nil
}

// inject switches a fault on.
func (d *Desk) inject(f *fault) error {
	kind, ok := clerktest.ParseFaultKind(f.Kind)
	if !ok {
		return wrong("kind", "must be the name of a fault, as status or reset-after")
	}
	if f.Operation != clerktest.OpAny && !slices.Contains(clerktest.Operations(), f.Operation) {
		return wrong("operation", "must be one of the operations, as %s, or empty", clerktest.OpBulk)
	}
	if f.Probability < 0 || f.Probability > 1 {
		return wrong("probability", "must be 0 to 1")
	}
	if f.Status != 0 && (f.Status < 200 || f.Status > 599) {
		return wrong("status", "must be 200 to 599")
	}
	var delay time.Duration
	if f.Delay != "" {
		var err error
		if delay, err = time.ParseDuration(f.Delay); err != nil || delay < 0 {
			return wrong("delay", `must be a duration, as "3s"`)
		}
	}
	f.remove = d.server.Inject(clerktest.Fault{
		Operation: f.Operation, Kind: kind, Status: f.Status, Code: f.Code, RetryAfter: f.RetryAfter,
		Delay: delay, Calls: f.Calls, Probability: f.Probability, Count: f.Count,
	})
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lastID++
	f.ID = d.lastID
	d.faults = append(d.faults, f)
	return nil
}

func (d *Desk) removeFaults(r *http.Request) (any, error) {
	text := r.PathValue("id")
	id, err := strconv.Atoi(text)
	if text != "" && err != nil || d.remove(func(f *fault) bool { return text == "" || f.ID == id }) == 0 && text != "" {
		return nil, &refusal{http.StatusNotFound, "resource_not_found", "id", "There is no such fault."}
	}
	return done, nil
}

// remove switches those faults off that match, and tells how many.
func (d *Desk) remove(match func(*fault) bool) (n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.faults = slices.DeleteFunc(slices.Clone(d.faults), func(f *fault) bool {
		if !match(f) {
			return false
		}
		f.remove()
		n++
		return true
	})
	return n
}

func (d *Desk) activeFaults() []fault {
	d.mu.Lock()
	defer d.mu.Unlock()
	active := make([]fault, len(d.faults))
	for i, f := range d.faults {
		active[i] = *f
	}
	return active
}
