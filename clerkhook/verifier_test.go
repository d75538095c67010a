package clerkhook

import (
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestVerify(t *testing.T) {
	t.Parallel()
	body := fixture(t, "invitation_accepted")
	good := signed(t, secretA, body)
	signature := good.Get("Svix-Signature")
	stamp := good.Get("Svix-Timestamp")
	other := sign(t, secretB, "msg_1", stamp, body)
	with := func(name string, values ...string) http.Header {
		h := maps.Clone(good)
		h[name] = values
		return h
	}
	renamed := func(prefix string) http.Header {
		return http.Header{
			prefix + "Id": good["Svix-Id"], prefix + "Timestamp": good["Svix-Timestamp"], prefix + "Signature": good["Svix-Signature"],
		}
	}
	lower := http.Header{}
	for name, values := range good {
		lower[strings.ToLower(name)] = values
	}
	both := renamed("Webhook-")
	both["Svix-Id"] = []string{"msg_1"} // alone

	resigned := func(id, timestamp string) http.Header {
		return http.Header{"Svix-Id": {id}, "Svix-Timestamp": {timestamp}, "Svix-Signature": {sign(t, secretA, strings.TrimSpace(id), strings.TrimSpace(timestamp), body)}}
	}
	for name, test := range map[string]struct {
		header http.Header
		want   error
	}{
		"as it should be":              {good, nil},
		"Standard Webhooks":            {renamed("Webhook-"), nil},
		"lower-case names":             {lower, nil},
		"incomplete beside complete":   {both, nil},
		"blanks around values":         {with("Svix-Id", " msg_1\t"), nil},
		"several signatures":           {with("Svix-Signature", other+" "+signature), nil},
		"signatures on lines":          {with("Svix-Signature", other, signature), nil},
		"blanks between signatures":    {with("Svix-Signature", "  "+other+"   "+signature+" "), nil},
		"other versions beside it":     {with("Svix-Signature", "v1a,abc v2,"+signature[3:]+" "+signature), nil},
		"no version beside it":         {with("Svix-Signature", "nonsense , v1 v1, "+signature), nil},
		"the same id twice":            {with("Svix-Id", "msg_1", "msg_1 "), nil},
		"id with dots":                 {resigned("msg.1.2", stamp), nil},
		"nothing":                      {http.Header{}, ErrNoSignature},
		"nil":                          {nil, ErrNoSignature},
		"no id":                        {with("Svix-Id"), ErrNoSignature},
		"empty id":                     {with("Svix-Id", ""), ErrNoSignature},
		"blank id":                     {with("Svix-Id", " "), ErrNoSignature},
		"no timestamp":                 {with("Svix-Timestamp"), ErrNoSignature},
		"no signature":                 {with("Svix-Signature"), ErrNoSignature},
		"empty signature":              {with("Svix-Signature", ""), ErrNoSignature},
		"two ids":                      {with("Svix-Id", "msg_1", "msg_2"), ErrNoSignature},
		"an empty id and another":      {with("Svix-Id", "", "msg_1"), ErrNoSignature},
		"two timestamps":               {with("Svix-Timestamp", stamp, "1"), ErrNoSignature},
		"long id":                      {resigned(strings.Repeat("m", maxIDBytes+1), stamp), ErrNoSignature},
		"timestamp is a word":          {resigned("msg_1", "noon"), ErrNoSignature},
		"timestamp with a sign":        {resigned("msg_1", "+"+stamp), ErrNoSignature},
		"timestamp with a zero":        {resigned("msg_1", "0"+stamp), ErrNoSignature},
		"timestamp is a fraction":      {resigned("msg_1", stamp+".5"), ErrNoSignature},
		"timestamp is negative":        {resigned("msg_1", "-"+stamp), ErrNoSignature},
		"timestamp is 0":               {resigned("msg_1", "0"), ErrNoSignature},
		"timestamp overflows":          {resigned("msg_1", "9223372036854775808"), ErrNoSignature},
		"timestamp nearly overflows":   {resigned("msg_1", "9223372036854775807"), ErrNoSignature},
		"timestamp is in milliseconds": {resigned("msg_1", stamp+"000"), ErrNoSignature},
		"timestamp is a date":          {resigned("msg_1", noon.Format(time.RFC3339)), ErrNoSignature},
		"only other versions":          {with("Svix-Signature", "v1a,"+signature[3:]+" v2,"+signature[3:]), ErrNoSignature},
		"version in upper case":        {with("Svix-Signature", "V1"+signature[2:]), ErrNoSignature},
		"not base64":                   {with("Svix-Signature", "v1,"+strings.Repeat("!", 44)), ErrNoSignature},
		"URL-safe base64":              {with("Svix-Signature", "v1,"+strings.Repeat("-", 43)+"="), ErrNoSignature},
		"hexadecimal":                  {with("Svix-Signature", "v1,"+strings.Repeat("0f", 32)), ErrNoSignature},
		"33 bytes":                     {with("Svix-Signature", "v1,"+strings.Repeat("A", 44)), ErrNoSignature},
		"31 bytes":                     {with("Svix-Signature", "v1,"+strings.Repeat("A", 42)+"=="), ErrNoSignature},
		"cut short":                    {with("Svix-Signature", signature[:len(signature)-1]), ErrNoSignature},
		"of another secret":            {with("Svix-Signature", other), ErrBadSignature},
		"of another id":                {with("Svix-Id", "msg_2"), ErrBadSignature},
		"of another time":              {with("Svix-Timestamp", strconv.FormatInt(noon.Unix()+1, 10)), ErrBadSignature},
		"all zero":                     {with("Svix-Signature", "v1,"+strings.Repeat("A", 43)+"="), ErrBadSignature},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			event, err := newTestVerifier(t).Verify(test.header, body)
			if test.want == nil {
				require.NoError(t, err)
				assert.Equal(t, InvitationAccepted, event.Type)
				return
			}
			assert.Nil(t, event)
			require.ErrorIs(t, err, test.want)
			assertDiscreet(t, err.Error())
			assert.NotContains(t, err.Error(), "msg")
			assert.NotContains(t, err.Error(), signature[3:])
		})
	}
}

func TestVerifyBody(t *testing.T) {
	t.Parallel()
	body := fixture(t, "invitation_accepted")
	header := signed(t, secretA, body)
	verifier := newTestVerifier(t)
	for name, changed := range map[string][]byte{
		"a byte more": append([]byte(string(body)), '\n'),
		"a byte less": body[:len(body)-1],
		"another":     []byte(strings.Replace(string(body), "user_8", "user_7", 1)),
		"empty":       {},
		"nil":         nil,
	} {
		_, err := verifier.Verify(header, changed)
		assert.ErrorIs(t, err, ErrBadSignature, name)
	}
	long := []byte(`{"type":"user.created","data":"` + strings.Repeat("a", MaxBody-33) + `"}`)
	require.Len(t, long, MaxBody)
	event, err := verifier.Verify(signed(t, secretA, long), long)
	require.NoError(t, err)
	assert.Len(t, event.Data, MaxBody-31)

	long = append(long, ' ')
	_, err = verifier.Verify(signed(t, secretA, long), long)
	assert.Equal(t, ErrTooLarge, err)
}

func TestTolerance(t *testing.T) {
	t.Parallel()
	body := fixture(t, "invitation_accepted")
	for _, test := range []struct {
		at   time.Time
		opts []Option
		want string
	}{
		{noon.Add(-5 * time.Minute), nil, ""},
		{noon.Add(5 * time.Minute), nil, ""},
		{noon.Add(-5*time.Minute - time.Second), nil, "clerkhook: the timestamp is outside of the tolerance: it is 5m1s behind the clock here, and the tolerance is 5m0s"},
		{noon.Add(5*time.Minute + time.Second), nil, "clerkhook: the timestamp is outside of the tolerance: it is 5m1s ahead of the clock here, and the tolerance is 5m0s"},
		{noon.Add(-6 * time.Minute), []Option{WithTolerance(6 * time.Minute)}, ""},
		{noon.Add(-2 * time.Second), []Option{WithTolerance(time.Second)}, "it is 2s behind"},
		{time.Unix(1, 0), nil, "behind the clock here"},
		{noon.AddDate(1000, 0, 0), nil, "ahead of the clock here"}, // more than a Duration holds
		{time.Unix(maxUnixTime, 0), nil, "ahead of the clock here"},
	} {
		_, err := newTestVerifier(t, test.opts...).Verify(signedAt(t, secretA, "msg_1", test.at, body), body)
		if test.want == "" {
			assert.NoError(t, err, test.at)
			continue
		}
		assert.ErrorIs(t, err, ErrStale, test.at)
		assert.ErrorContains(t, err, test.want)
		// A sender that cannot sign learns nothing of the clock.
		_, err = newTestVerifier(t, test.opts...).Verify(signedAt(t, secretB, "msg_1", test.at, body), body)
		assert.Equal(t, ErrBadSignature, err)
	}
}

func TestRotation(t *testing.T) {
	t.Parallel()
	body := fixture(t, "invitation_accepted")
	verifier := newTestVerifier(t, WithSecrets(secretB))
	for _, secret := range []string{secretA, secretB} {
		_, err := verifier.Verify(signed(t, secret, body), body)
		assert.NoError(t, err)
	}
	_, err := verifier.Verify(signed(t, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", body), body)
	assert.Equal(t, ErrBadSignature, err)
}

// What Svix's documentation gives as an example of a signature.
func TestKnownSignature(t *testing.T) {
	t.Parallel()
	key, err := parseSecret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	require.NoError(t, err)
	d, err := readHeader(http.Header{
		"Svix-Id":        {"msg_p5jXN8AQM9LWM0D4loKWxJek"},
		"Svix-Timestamp": {"1614265330"},
		"Svix-Signature": {"v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="},
	})
	require.NoError(t, err)
	assert.NoError(t, d.checkSignature([]macFunc{key}, []byte(`{"test": 2432232314}`)))
	assert.Error(t, d.checkSignature([]macFunc{key}, []byte(`{"test": 2432232315}`)))
}

func TestSecrets(t *testing.T) {
	t.Parallel()
	for secret, want := range map[string]string{
		"":                                  "is empty; it must begin with whsec_",
		" \n":                               "is blank; it must begin with whsec_",
		secretA + "\n":                      "ends with a line break",
		secretA + "\r\n":                    "ends with a line break",
		" " + secretA:                       "has blanks around it",
		secretA + "\t":                      "has blanks around it",
		secretA + "\u00a0":                  "has blanks around it",
		`"` + secretA + `"`:                 "has quotation marks around it",
		secretA + " " + secretB:             "must not hold a blank or a line break: each secret is an argument of its own",
		"whsec_AAAAAAAAAAA\nAAAAAAAAAAAAAA": "must not hold a blank or a line break: each secret is an argument of its own",
		"sk_test_" + secretA[6:]:            "is a key of the API, as it begins with sk_; signing secrets begin with whsec_",
		"pk_test_" + secretA[6:]:            "is a key of the API, as it begins with pk_; signing secrets begin with whsec_",
		secretA[6:]:                         "must begin with whsec_",
		"WHSEC_" + secretA[6:]:              "must begin with whsec_",
		"whsec_":                            "has nothing behind whsec_",
		secretA + "," + secretB:             "must be standard base64 behind whsec_",
		secretA + "A":                       "must be standard base64 behind whsec_",
		"whsec_" + strings.Repeat("-", 32):  "must be standard base64 behind whsec_",
		"whsec_AAAAAAAAAAAAAAAAAAAA":        "is too short: it must hold at least 16 bytes in base64",
	} {
		_, err := NewVerifier(secret)
		assert.EqualError(t, err, "clerkhook: the signing secret "+want)
		_, err = NewVerifier(secretA, WithSecrets(secretB, secret))
		assert.EqualError(t, err, "clerkhook: additional secret 1 "+want)
	}
}

func TestNewVerifierFromEnv(t *testing.T) {
	t.Setenv("CLERK_WEBHOOK_SIGNING_SECRET", secretA)
	body := fixture(t, "invitation_accepted")
	verifier, err := NewVerifierFromEnv(WithClock(func() time.Time { return noon }))
	require.NoError(t, err)
	_, err = verifier.Verify(signed(t, secretA, body), body)
	require.NoError(t, err)

	t.Setenv("CLERK_WEBHOOK_SIGNING_SECRET", secretA+"\n")
	_, err = NewVerifierFromEnv()
	assert.EqualError(t, err, "clerkhook: the environment variable CLERK_WEBHOOK_SIGNING_SECRET ends with a line break")
	t.Setenv("CLERK_WEBHOOK_SIGNING_SECRET", "")
	_, err = NewVerifierFromEnv()
	assert.EqualError(t, err, "clerkhook: the environment variable CLERK_WEBHOOK_SIGNING_SECRET is empty; it must begin with whsec_")
}

func TestNewVerifierFromEnvUnset(t *testing.T) {
	t.Setenv("CLERK_WEBHOOK_SIGNING_SECRET", "") // is put back afterwards
	require.NoError(t, os.Unsetenv("CLERK_WEBHOOK_SIGNING_SECRET"))
	_, err := NewVerifierFromEnv()
	assert.EqualError(t, err, "clerkhook: the environment variable CLERK_WEBHOOK_SIGNING_SECRET is not set")
}

func TestOptions(t *testing.T) {
	t.Parallel()
	_, err := NewVerifier("", WithTolerance(0), WithTolerance(-time.Second), WithClock(nil), nil, WithSecrets("", "x"))
	assert.EqualError(t, err, strings.Join([]string{
		"clerkhook: the signing secret is empty; it must begin with whsec_",
		"clerkhook: tolerance: must be positive, is 0s",
		"clerkhook: tolerance: must be positive, is -1s",
		"clerkhook: clock: must not be nil",
		"clerkhook: option 3 is nil",
		"clerkhook: additional secret 0 is empty; it must begin with whsec_",
		"additional secret 1 must begin with whsec_",
	}, "\n"))
}

func TestVerifierShowsNoSecret(t *testing.T) {
	t.Parallel()
	verifier := newTestVerifier(t, WithSecrets(secretB))
	var text strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d"} {
		fmt.Fprintf(&text, verb+"\n", verifier)
		fmt.Fprintf(&text, verb+"\n", *verifier)
	}
	slog.New(slog.NewJSONHandler(&text, nil)).Info("m", "v", verifier)
	slog.New(slog.NewTextHandler(&text, nil)).Info("m", "v", verifier)
	assertDiscreet(t, text.String())
	assert.Contains(t, text.String(), "clerkhook.Verifier(2 secrets, tolerance 5m0s)")
	assert.Equal(t, "clerkhook.Verifier(nil)", (*Verifier)(nil).String())
}

func TestVerifyConcurrently(t *testing.T) {
	t.Parallel()
	verifier := newTestVerifier(t, WithSecrets(secretB))
	for i := range 8 {
		t.Run(strconv.Itoa(i), func(t *testing.T) {
			t.Parallel()
			for j := range 50 {
				body := fmt.Appendf(nil, `{"type":"x","data":%d}`, i*1000+j)
				event, err := verifier.Verify(signed(t, []string{secretA, secretB}[j%2], body), body)
				require.NoError(t, err)
				var n int
				require.NoError(t, event.Decode(&n))
				require.Equal(t, i*1000+j, n)
			}
		})
	}
}
