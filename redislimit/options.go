package redislimit

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"regexp"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// Defaults of a limiter.
const (
	DefaultPrefix  = "clerkorg:"
	DefaultTimeout = time.Second // of a round trip to Redis
)

// Option changes what a limiter does. [New] checks it.
type Option func(*options) error

type options struct {
	prefix   string
	owner    string // a hash of the secret key or the namespace
	timeout  time.Duration
	replicas int // zero where only short windows fall back
	logger   *slog.Logger
}

var secretKeyShape = regexp.MustCompile(`^sk_(test|live)_[!-~]+$`)

// WithSecretKey names the secret key that the quotas belong to, with which the calls are
// made. It is hashed at once, and neither kept nor sent to Redis.
func WithSecretKey(secretKey string) Option {
	return func(o *options) error {
		if !secretKeyShape.MatchString(secretKey) {
			return errors.New("secret key: must begin with sk_test_ or sk_live_ and hold printable ASCII without spaces")
		}
		return o.own("secret key", secretKey)
	}
}

// WithNamespace names the owner of the quotas freely, for processes that do not know
// the secret key. All processes with that key must use the same name.
func WithNamespace(name string) Option {
	return func(o *options) error {
		if name == "" {
			return errors.New("namespace: must not be empty")
		}
		return o.own("namespace", name)
	}
}

func (o *options) own(kind, value string) error {
	if o.owner != "" {
		return errors.New(kind + ": one secret key or one namespace is enough")
	}
	sum := sha256.Sum256([]byte("redislimit " + kind + "\x00" + value))
	o.owner = hex.EncodeToString(sum[:16])
	return nil
}

// WithPrefix begins the names of all keys in Redis with prefix, in place of
// [DefaultPrefix]. Limiters with different prefixes share nothing.
func WithPrefix(prefix string) Option {
	return func(o *options) error {
		if strings.ContainsFunc(prefix, func(r rune) bool { return r <= ' ' || r > '~' || r == '{' || r == '}' }) {
			return errors.New("prefix: must be printable ASCII without spaces and braces")
		}
		o.prefix = prefix
		return nil
	}
}

// WithTimeout limits how long to wait for an answer of Redis before it counts as
// failed. The default is [DefaultTimeout].
func WithTimeout(timeout time.Duration) Option {
	return func(o *options) error {
		if timeout <= 0 {
			return fmt.Errorf("timeout: must be positive, is %s", timeout)
		}
		o.timeout = timeout
		return nil
	}
}

// WithLocalFallback keeps all quotas in memory while Redis fails, in each of so
// many processes an equal share of the limit, but at least 1. It takes no account
// of what the others had used up before the failure: an hour with a failure in it
// may see up to twice the limit, and then the server's 429. The limiter holds what was
// sent meanwhile until Redis is back; a process that ends before that takes it along.
func WithLocalFallback(replicas int) Option {
	return func(o *options) error {
		if replicas < 1 {
			return fmt.Errorf("local fallback: must be for one process or more, is for %d", replicas)
		}
		o.replicas = replicas
		return nil
	}
}

// WithLogger writes a line when Redis is lost and found, when it has lost its memory and
// is told again, and when the server closes a quota, which turns on the guard. No line
// holds a key, a host or a password.
func WithLogger(logger *slog.Logger) Option {
	return func(o *options) error {
		if logger == nil {
			return errors.New("logger: must not be nil")
		}
		o.logger = logger
		return nil
	}
}

// newOptions reports everything that is wrong, not the first thing only.
func newOptions(client redis.UniversalClient, opts []Option) (options, error) {
	o := options{prefix: DefaultPrefix, timeout: DefaultTimeout}
	var faults []error
	if v := reflect.ValueOf(client); client == nil || v.Kind() == reflect.Pointer && v.IsNil() {
		faults = append(faults, errors.New("redislimit: the Redis client is nil"))
	}
	given := len(faults)
	for i, opt := range opts {
		if opt == nil {
			faults = append(faults, fmt.Errorf("redislimit: option %d is nil", i))
		} else if err := opt(&o); err != nil {
			faults = append(faults, fmt.Errorf("redislimit: %w", err))
		}
	}
	if o.owner == "" && len(faults) == given {
		faults = append(faults, errors.New("redislimit: whose quotas? Give WithSecretKey or WithNamespace"))
	}
	return o, errors.Join(faults...)
}
