package clerkhook

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"
)

const (
	// DefaultTolerance is how far the timestamp of a delivery may be from the clock
	// here, in the past and in the future.
	DefaultTolerance = 5 * time.Minute

	// MaxBody is the longest body that is accepted, in bytes.
	MaxBody = 1 << 20
)

// Verifier verifies and decodes deliveries. It is safe for concurrent use. Printing
// or logging it does not show its secrets.
type Verifier struct {
	keys      []macFunc
	tolerance time.Duration
	now       func() time.Time
}

// Option configures a [Verifier]. [NewVerifier] checks it.
type Option func(*Verifier) error

// WithSecrets accepts signatures by these secrets too. It is for the time in which
// the secret of an endpoint is being replaced.
func WithSecrets(secrets ...string) Option {
	return func(v *Verifier) error {
		var faults []error
		for i, secret := range secrets {
			if err := v.add(secret); err != nil {
				faults = append(faults, fmt.Errorf("additional secret %d %w", i, err))
			}
		}
		return errors.Join(faults...)
	}
}

// WithTolerance replaces [DefaultTolerance]. It must be positive.
func WithTolerance(tolerance time.Duration) Option {
	return func(v *Verifier) error {
		if tolerance <= 0 {
			return fmt.Errorf("tolerance: must be positive, is %s", tolerance)
		}
		v.tolerance = tolerance
		return nil
	}
}

// WithClock replaces [time.Now]. The function may be called by several goroutines at
// once.
func WithClock(now func() time.Time) Option {
	return func(v *Verifier) error {
		if now == nil {
			return errors.New("clock: must not be nil")
		}
		v.now = now
		return nil
	}
}

// NewVerifier returns a verifier for the signing secret of an endpoint ("whsec_…",
// from the Webhooks page of Clerk's dashboard). The error lists everything that is
// wrong with the secret and the options, and never repeats a secret.
func NewVerifier(secret string, opts ...Option) (*Verifier, error) {
	return newVerifier("signing secret", secret, opts)
}

// NewVerifierFromEnv returns a verifier for the signing secret in the environment
// variable CLERK_WEBHOOK_SIGNING_SECRET. The error lists everything that is wrong,
// by the name of the variable, and never repeats the secret.
func NewVerifierFromEnv(opts ...Option) (*Verifier, error) {
	const variable = "environment variable CLERK_WEBHOOK_SIGNING_SECRET"
	secret, set := os.LookupEnv("CLERK_WEBHOOK_SIGNING_SECRET")
	if !set {
		return nil, errors.New("clerkhook: the " + variable + " is not set")
	}
	return newVerifier(variable, secret, opts)
}

func newVerifier(name, secret string, opts []Option) (*Verifier, error) {
	v := &Verifier{tolerance: DefaultTolerance, now: time.Now}
	var faults []error
	if err := v.add(secret); err != nil {
		faults = append(faults, fmt.Errorf("clerkhook: the %s %w", name, err))
	}
	for i, opt := range opts {
		if opt == nil {
			faults = append(faults, fmt.Errorf("clerkhook: option %d is nil", i))
		} else if err := opt(v); err != nil {
			faults = append(faults, fmt.Errorf("clerkhook: %w", err))
		}
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	return v, nil
}

func (v *Verifier) add(secret string) error {
	key, err := parseSecret(secret)
	if err == nil {
		v.keys = append(v.keys, key)
	}
	return err
}

// Verify checks that a delivery was signed with one of the secrets at most the
// tolerance ago (or ahead), and decodes it. The header has svix-id, svix-timestamp
// and svix-signature, or the same with webhook-; the body is the one that was
// received, byte by byte. Nothing in the event refers to the body afterwards.
//
// Any one signature of version v1 that fits is enough; other versions are ignored.
// Event types that this package does not know are no error: see [Event].
//
// The error matches [ErrNoSignature], [ErrBadSignature], [ErrStale], [ErrTooLarge] or
// [ErrMalformed], and holds nothing of the header, the body or a secret. A signature
// is checked before the time, so that ErrStale is told about genuine deliveries only.
func (v *Verifier) Verify(header http.Header, body []byte) (*Event, error) {
	if len(body) > MaxBody {
		return nil, ErrTooLarge
	}
	d, err := readHeader(header)
	if err != nil {
		return nil, err
	}
	if err := d.checkSignature(v.keys, body); err != nil {
		return nil, err
	}
	if err := d.checkTime(v.tolerance, v.now()); err != nil {
		return nil, err
	}
	return decodeEvent(d.id, body)
}

// String describes the verifier without its secrets.
func (v *Verifier) String() string {
	if v == nil {
		return "clerkhook.Verifier(nil)"
	}
	return fmt.Sprintf("clerkhook.Verifier(%d secrets, tolerance %s)", len(v.keys), v.tolerance)
}

// GoString is String, so that %#v does not print the fields of a verifier.
func (v *Verifier) GoString() string { return v.String() }
