package clerktest

import (
	"maps"
	"strings"
	"time"
)

// Option changes how a new [Server] behaves.
type Option func(*config)

// config is what the options of a server add up to.
type config struct {
	secretKey    string
	live         bool
	window       Window
	unlimited    bool
	overrides    map[Operation]quotaRule
	clock        func() time.Time
	latency      func() time.Duration
	partialBulk  bool
	naming       Naming
	blocked      func(email string) bool
	rejected     func(email string) bool
	listLag      time.Duration
	maxMembers   int
	seats        int
	unsearchable func(email string) bool
	maxURL       int
	webhook      *webhookConfig
	seed         *uint64
	retryAfter   bool
	bareArrays   bool
	organization string
}

// defaultMaxMemberships leaves room for every simulation that fits in memory.
const defaultMaxMemberships = 1_000_000

func newConfig(opts []Option) config {
	c := config{
		overrides:  make(map[Operation]quotaRule),
		clock:      time.Now,
		maxMembers: defaultMaxMemberships,
		retryAfter: true,
	}
	for _, opt := range opts {
		if opt != nil {
			opt(&c)
		}
	}
	if c.secretKey != "" {
		c.live = strings.HasPrefix(c.secretKey, "sk_live_")
	}
	return c
}

// WithSecretKey sets the only key the server accepts. A key that starts with
// sk_live_ has the limits of a production instance, any other those of a
// development instance. Without this option, or with an empty key, the server
// makes up a key that no other server has.
func WithSecretKey(key string) Option {
	return func(c *config) { c.secretKey = key }
}

// WithLiveKey makes the generated key one of a production instance (sk_live_),
// which may make 1000 calls in 10 seconds instead of 100. It has no effect
// beside [WithSecretKey].
func WithLiveKey() Option {
	return func(c *config) { c.live = true }
}

// WithRateLimits chooses how the server counts requests against its limits. The
// default is [FixedWindow], which also stands in for a value that is none of
// the constants.
func WithRateLimits(window Window) Option {
	return func(c *config) { c.window, c.unlimited = window, false }
}

// WithoutRateLimits makes the server admit every request. It overrides
// [WithQuota].
func WithoutRateLimits() Option {
	return func(c *config) { c.unlimited = true }
}

// WithQuota replaces one of the built-in limits, or adds one to an operation
// that has none: at most limit requests in each window. The operation
// [QuotaInstance] (or [OpAny]) stands for the limit that all calls share. A
// limit or window of zero or less removes the limit.
func WithQuota(op Operation, limit int, window time.Duration) Option {
	if op == QuotaInstance {
		op = OpAny
	}
	return func(c *config) { c.overrides[op] = quotaRule{limit, window} }
}

// WithClock sets the server's idea of the time, by which it dates answers and
// invitations, lets invitations expire and counts requests. The function may be called by several
// goroutines at once and must not call the server. It does not govern latencies
// and delays, which are waited for in the time of package time. Most tests need
// testing/synctest instead.
func WithClock(now func() time.Time) Option {
	return func(c *config) {
		if now != nil {
			c.clock = now
		}
	}
}

// WithLatency makes the wire slow: the function is asked once for the way of
// the request and once for that of the answer. Requests arrive, and are counted,
// after the first. Calls of the function do not overlap.
func WithLatency(oneWay func() time.Duration) Option {
	return func(c *config) { c.latency = oneWay }
}

// WithPartialBulk decides what a refused bulk call leaves behind, which Clerk
// does not document. Items are checked in order until one is refused. With
// false, the default, nothing is created. With true, the items before the
// refused one become invitations, the refused one and those after it do not,
// and the answer is still the refusal. Either way a call whose body is
// unreadable, empty or too long creates nothing.
func WithPartialBulk(partial bool) Option {
	return func(c *config) { c.partialBulk = partial }
}

// Naming is how a refusal names the addresses it concerns; see
// [WithNamedRefusals].
type Naming int

// The ways to name the addresses that caused a refusal.
const (
	// NameNone names no address anywhere.
	NameNone Naming = iota
	// NameInMeta lists addresses in the meta object of the error, where Clerk has a
	// place for them: email_addresses for pending invitations, with the code
	// duplicate_record, and identifiers for blocked addresses. Members are
	// named in the long message only, for which Clerk has no such place.
	NameInMeta
	// NameInText names addresses in the long message and nowhere else. The
	// code for pending invitations is duplicate_record here too.
	NameInText
)

// WithNamedRefusals decides whether the refusal of a pending invitation, of a
// member or of a blocked address says which addresses of the call it concerns.
// If it does, it names every address of the call that is refused for the same
// reason. The default is [NameNone].
func WithNamedRefusals(naming Naming) Option {
	return func(c *config) { c.naming = naming }
}

// WithBlocked sets the blocklist of the instance: an address for which the
// function is true is refused with 403 not_allowed_access. It may be called by
// several goroutines at once.
func WithBlocked(blocked func(email string) bool) Option {
	return func(c *config) { c.blocked = blocked }
}

// WithRejected adds to the addresses that the server finds malformed and
// refuses with 422 form_param_format_invalid, for the cases in which a client
// is more lenient than Clerk. It may be called by several goroutines at once.
func WithRejected(rejected func(email string) bool) Option {
	return func(c *config) { c.rejected = rejected }
}

// WithUnsearchable sets the addresses for which nothing can be searched, though
// they can be invited: the list of invitations, that of members and that of
// users refuse them as an email_address with 422 form_param_format_invalid. The
// function may be called by several goroutines at once.
func WithUnsearchable(unsearchable func(email string) bool) Option {
	return func(c *config) { c.unsearchable = unsearchable }
}

// WithListLag makes lists eventually consistent: an invitation appears in them,
// and in their totals, only when lag has passed since it was created. Getting
// it by its id works at once, and so does the refusal of a second one.
func WithListLag(lag time.Duration) Option {
	return func(c *config) { c.listLag = max(0, lag) }
}

// WithMaxMemberships sets how many members and pending invitations the default
// organization may have together; zero or less means no limit. The default is
// one million.
func WithMaxMemberships(n int) Option {
	return func(c *config) { c.maxMembers = max(0, n) }
}

// WithSeats gives each organization of the instance a plan with that many seats;
// zero or less, the default, means no limit. Members and pending invitations
// take a seat each. A call that does not fit is refused with 402
// insufficient_seats, of which the meta field seats_quantity is how many seats
// the organization would need for all of the call, those taken included.
func WithSeats(n int) Option {
	return func(c *config) { c.seats = max(0, n) }
}

// WithMaxURL puts a proxy in front that refuses a request whose path and query
// are together longer than that, with 414 and a page of HTML; zero or less, the
// default, means no limit. Such a request is among [Server.Calls] but spends no
// quota, and no [Fault] that answers with a status changes its answer.
func WithMaxURL(bytes int) Option {
	return func(c *config) { c.maxURL = max(0, bytes) }
}

// WithRandom derives ids, tickets, trace ids and the choices of
// [Fault.Probability] from seed, so that a run of sequential calls can be
// repeated exactly. The secret key stays unique: clients of one process often
// share a rate limiter by key.
func WithRandom(seed uint64) Option {
	return func(c *config) { c.seed = &seed }
}

// WithRetryAfter decides whether the 429 of a rate limit carries a Retry-After
// header. It does by default.
func WithRetryAfter(send bool) Option {
	return func(c *config) { c.retryAfter = send }
}

// WithBareArrays makes the bulk call answer [...] instead of
// {"data":[...],"total_count":n}. Clerk's documentation once promised the
// former; its servers answer the latter.
func WithBareArrays() Option {
	return func(c *config) { c.bareArrays = true }
}

// WithOrganizationName names the default organization, which is called Test Organization
// otherwise.
func WithOrganizationName(name string) Option {
	return func(c *config) { c.organization = name }
}

// rules are the limits in force.
func (c *config) rules() map[Operation]quotaRule {
	rules := defaultQuotas(c.live)
	maps.Copy(rules, c.overrides)
	return rules
}

func (c *config) quotas() map[Operation]*quota {
	if c.unlimited {
		return nil
	}
	rules := c.rules()
	quotas := make(map[Operation]*quota, len(rules))
	for op, rule := range rules {
		if rule.limit > 0 && rule.window > 0 {
			quotas[op] = newQuota(c.window, rule)
		}
	}
	return quotas
}
