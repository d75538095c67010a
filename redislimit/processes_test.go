package redislimit

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/clerkorg/clerkorg-go"
	"github.com/clerkorg/clerkorg-go/clerktest"
)

// jobs are what this test binary does in a process of its own, where the
// environment says so.
var jobs = map[string]func(l *Limiter) error{
	"crowd":  crowdJob,
	"turns":  turnsJob,
	"hold":   holdJob,
	"invite": inviteJob,
}

func TestMain(m *testing.M) {
	redis.SetLogger(silent{}) // the tests break connections on purpose
	job := jobs[os.Getenv("REDISLIMIT_JOB")]
	if job == nil {
		code := m.Run()
		if left := leftBehind(); code == 0 && left != "" {
			fmt.Fprintln(os.Stderr, "goroutines are left behind:\n"+left)
			code = 1
		}
		os.Exit(code)
	}
	opts, err := redis.ParseURL(os.Getenv("REDISLIMIT_URL"))
	if err == nil {
		opts.ContextTimeoutEnabled = true
		var l *Limiter
		l, err = New(redis.NewClient(opts), WithSecretKey(testKey), WithPrefix(os.Getenv("REDISLIMIT_PREFIX")), WithTimeout(soon))
		if err == nil {
			l.slack, l.late = shortSlack, shortLate
			err = job(l)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// leftBehind returns all stacks, if after a while a limiter is in one still.
func leftBehind() string {
	var stacks string
	for deadline := time.Now().Add(soon); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		buffer := make([]byte, 1<<20)
		stacks = string(buffer[:runtime.Stack(buffer, true)])
		if !strings.Contains(stacks, "redislimit.(*Limiter)") {
			return ""
		}
	}
	return stacks
}

type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}

// What children use, so that no test takes hours.
const (
	shortSlack = 200 * time.Millisecond
	shortLate  = time.Second
)

var (
	crowded = clerkorg.Quota{Name: "crowded", Limit: 50, Window: time.Second}
	alone   = clerkorg.Quota{Name: "alone", Limit: 1, Window: 500 * time.Millisecond}
	invited = clerkorg.Quota{Name: clerkorg.QuotaBulk, Limit: 10, Window: time.Second}
)

// shared is a Redis for a test and its children.
type shared struct {
	url, prefix string
	limiter     *Limiter // of the test itself
}

func newShared(t *testing.T) *shared {
	url, prefix := realRedis(t)
	l := newTestLimiter(t, dial(t, url), WithPrefix(prefix))
	l.slack, l.late = shortSlack, shortLate
	return &shared{url, prefix, l}
}

// child prepares a process that does a job.
func (s *shared) child(t *testing.T, job string, env ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, self)
	cmd.Env = append(os.Environ(), "REDISLIMIT_JOB="+job, "REDISLIMIT_URL="+s.url, "REDISLIMIT_PREFIX="+s.prefix)
	cmd.Env = append(cmd.Env, env...)
	cmd.Stderr = os.Stderr
	return cmd
}

// run runs children to their end, all at once.
func run(t *testing.T, children ...*exec.Cmd) {
	t.Helper()
	for _, cmd := range children {
		require.NoError(t, cmd.Start())
	}
	for _, cmd := range children {
		assert.NoError(t, cmd.Wait())
	}
}

// TestCrowdOfProcesses has 4 processes with 50 goroutines each take one quota of 50.
func TestCrowdOfProcesses(t *testing.T) {
	t.Parallel()
	s := newShared(t)
	var mu sync.Mutex
	var counted []time.Time
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		counted = append(counted, time.Now())
	}))
	defer server.Close()
	var children []*exec.Cmd
	for range 4 {
		children = append(children, s.child(t, "crowd", "REDISLIMIT_TARGET="+server.URL))
	}
	run(t, children...)
	mu.Lock()
	defer mu.Unlock()
	require.Len(t, counted, 200)
	noWindowHoldsTooMany(t, counted, crowded)
}

func crowdJob(l *Limiter) error {
	ctx := context.Background()
	errs := make([]error, 50)
	var group sync.WaitGroup
	for i := range errs {
		group.Go(func() {
			token, err := l.Acquire(ctx, clerkorg.ReservationRequest{Quota: crowded, MaxWait: time.Minute})
			if err != nil {
				errs[i] = err
				return
			}
			response, err := http.Get(os.Getenv("REDISLIMIT_TARGET"))
			if err == nil {
				err = response.Body.Close()
			}
			errs[i] = errors.Join(err, l.Settle(ctx, token, clerkorg.RequestAnswered))
		})
	}
	group.Wait()
	return errors.Join(errs...)
}

// TestProcessesTakeTurns has 200 waiters in four processes, most of them in one. They are
// served in the order in which they came, and few scripts do it.
func TestProcessesTakeTurns(t *testing.T) {
	for _, spread := range []bool{true, false} {
		t.Run(fmt.Sprint("spread ", spread), func(t *testing.T) { takeTurns(t, spread) })
	}
}

// takeTurns has tokens come back one by one, or all at once when the quota opens: then
// those who are served at one moment are so in any order.
func takeTurns(t *testing.T, spread bool) {
	server := newServer(t)
	t.Setenv("REDIS_URL", "redis://"+server.addr)
	s := newShared(t)
	within := crowded.Limit
	if spread {
		within = 20
		for range crowded.Limit {
			require.NoError(t, s.limiter.Settle(t.Context(), mustAcquire(t, s.limiter, crowded), clerkorg.RequestAnswered))
			time.Sleep(crowded.Window / time.Duration(crowded.Limit))
		}
	} else {
		require.NoError(t, s.limiter.CloseUntil(t.Context(), crowded, time.Now().Add(2*time.Second)))
	}
	client := dial(t, s.url)
	require.NoError(t, client.ConfigResetStat(t.Context()).Err())

	type turn struct{ came, served int64 }
	var turns []turn
	var children []*exec.Cmd
	var outputs []*bytes.Buffer
	for _, waiters := range []int{110, 50, 30, 10} {
		child := s.child(t, "turns", fmt.Sprint("REDISLIMIT_WAITERS=", waiters))
		outputs = append(outputs, new(bytes.Buffer))
		child.Stdout = outputs[len(outputs)-1]
		children = append(children, child)
	}
	run(t, children...)
	for _, output := range outputs {
		for line := range strings.Lines(output.String()) {
			var at turn
			_, err := fmt.Sscan(line, &at.came, &at.served)
			require.NoError(t, err)
			turns = append(turns, at)
		}
	}
	require.Len(t, turns, 200)
	served := slices.SortedFunc(slices.Values(turns), func(a, b turn) int { return cmp.Compare(a.served, b.served) })
	slices.SortFunc(turns, func(a, b turn) int { return cmp.Compare(a.came, b.came) })
	most := 0
	for i, at := range turns {
		place := slices.Index(served, at)
		most = max(most, place-i, i-place)
	}
	scripts := float64(scriptsRun(t, client)) / float64(len(turns))
	t.Logf("%.2f scripts a call; at most %d places from the order of arrival", scripts, most)
	assert.LessOrEqual(t, scripts, 4.2)
	assert.LessOrEqual(t, most, within)
}

// scriptsRun is how many scripts Redis has run since its statistics were reset.
func scriptsRun(t *testing.T, client *redis.Client) (n int) {
	t.Helper()
	stats, err := client.Info(t.Context(), "commandstats").Result()
	require.NoError(t, err)
	_, rest, _ := strings.Cut(stats, "cmdstat_evalsha:calls=")
	_, err = fmt.Sscanf(rest, "%d,", &n)
	require.NoError(t, err)
	return n
}

func turnsJob(l *Limiter) error {
	waiters, err := strconv.Atoi(os.Getenv("REDISLIMIT_WAITERS"))
	if err != nil {
		return err
	}
	errs := make([]error, waiters)
	var group sync.WaitGroup
	for i := range errs {
		group.Go(func() {
			time.Sleep(time.Second * time.Duration(i) / time.Duration(waiters)) // they come one after the other
			came := time.Now()
			token, err := l.Acquire(context.Background(), clerkorg.ReservationRequest{Quota: crowded, MaxWait: time.Minute})
			if err != nil {
				errs[i] = err
				return
			}
			fmt.Println(came.UnixNano(), time.Now().UnixNano())
			errs[i] = l.Settle(context.Background(), token, clerkorg.RequestAnswered)
		})
	}
	group.Wait()
	return errors.Join(errors.Join(errs...), l.Close())
}

// TestHolderIsKilled kills a process that has taken the only token.
func TestHolderIsKilled(t *testing.T) {
	t.Parallel()
	s := newShared(t)
	holder := s.child(t, "hold")
	stdin, err := holder.StdinPipe()
	require.NoError(t, err)
	defer func() { _ = stdin.Close() }()
	stdout, err := holder.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, holder.Start())
	id, err := bufio.NewReader(stdout).ReadString('\n')
	require.NoError(t, err)
	id = strings.TrimSpace(id)
	require.NoError(t, holder.Process.Kill())
	require.Error(t, holder.Wait())

	keys := s.limiter.keys(alone)
	given, err := s.limiter.redis.ZScore(t.Context(), keys[1], id).Result()
	require.NoError(t, err, "when the dead one's counts as a request that is never answered")
	_, err = s.limiter.Acquire(t.Context(), clerkorg.ReservationRequest{Quota: alone})
	assert.Positive(t, refusal(t, err).RetryAfter)
	token, err := s.limiter.Acquire(t.Context(), clerkorg.ReservationRequest{Quota: alone, MaxWait: soon})
	require.NoError(t, err, "it came back")

	taken, err := s.limiter.redis.ZScore(t.Context(), keys[1], token.ID).Result()
	require.NoError(t, err)
	held := duration(int64(taken-given)) - shortLate // both are when they would be given up
	assert.GreaterOrEqual(t, held, alone.Window+shortSlack, "a window after the latest moment it may have counted")
	for _, key := range s.limiter.redis.Keys(t.Context(), s.prefix+"*").Val() {
		assert.Positive(t, s.limiter.redis.PTTL(t.Context(), key).Val(), key)
	}
}

func holdJob(l *Limiter) error {
	token, err := l.Acquire(context.Background(), clerkorg.ReservationRequest{Quota: alone})
	if err != nil {
		return err
	}
	fmt.Println(token.ID)
	_, _ = bufio.NewReader(os.Stdin).ReadString('\n') // until it is killed
	return nil
}

// TestClientsShareAQuota has clients of package clerkorg in three processes use up
// one quota of one server again and again: it never has to refuse.
func TestClientsShareAQuota(t *testing.T) {
	t.Parallel()
	s := newShared(t)
	server := clerktest.NewServer(
		clerktest.WithQuota(clerktest.OpBulk, invited.Limit, invited.Window),
		clerktest.WithRateLimits(clerktest.SlidingLog),
	)
	defer server.Close()
	var children []*exec.Cmd
	for range 3 {
		children = append(children, s.child(t, "invite",
			"CLERK_API_URL="+server.URL(), "CLERK_SECRET_KEY="+server.SecretKey(), "REDISLIMIT_ORG="+server.OrganizationID()))
	}
	run(t, children...)
	assert.Equal(t, 3*12, server.CallCount(clerktest.OpBulk))
	assert.Equal(t, 0, server.RateLimited())
}

func inviteJob(l *Limiter) error {
	client, err := clerkorg.NewClientFromEnv(
		clerkorg.WithRateLimiter(l), clerkorg.WithQuotas(invited), clerkorg.WithMaxRateLimitWait(time.Minute))
	if err != nil {
		return err
	}
	errs := make([]error, 12)
	var group sync.WaitGroup
	for i := range errs {
		group.Go(func() {
			_, errs[i] = client.Organizations.CreateInvitationBulk(context.Background(), os.Getenv("REDISLIMIT_ORG"),
				[]clerkorg.CreateInvitationParams{{EmailAddress: fmt.Sprintf("p%d-%d@example.com", os.Getpid(), i), Role: clerkorg.RoleMember}})
		})
	}
	group.Wait()
	return errors.Join(errs...)
}

// TestRedisRestarts loses all that Redis knew.
func TestRedisRestarts(t *testing.T) {
	t.Parallel()
	server := newServer(t)
	l := newTestLimiter(t, dial(t, "redis://"+server.addr))
	for range 3 {
		require.NoError(t, l.Settle(t.Context(), mustAcquire(t, l, hourly), clerkorg.RequestAnswered))
	}
	held := mustAcquire(t, l, hourly)

	server.kill()
	eventually(t, func() bool {
		_, err := l.Acquire(t.Context(), clerkorg.ReservationRequest{Quota: hourly})
		return err != nil
	}, "nothing is sent without Redis")
	_, err := l.Acquire(t.Context(), clerkorg.ReservationRequest{Quota: hourly, MaxWait: time.Minute})
	require.ErrorIs(t, err, clerkorg.ErrLimiterUnavailable)
	require.NoError(t, l.Settle(t.Context(), held, clerkorg.RequestAnswered))

	require.True(t, server.start(t))
	var token clerkorg.Reservation
	eventually(t, func() bool {
		token, err = l.Acquire(t.Context(), clerkorg.ReservationRequest{Quota: hourly})
		return err == nil
	}, "it goes on by itself")
	assert.Equal(t, hourly.Limit-5, token.Left, "Redis is told again what this process knows")

	// A process that lists the invitations can tell it.
	fresh := clerkorg.Quota{Name: "fresh", Limit: 50, Window: time.Hour}
	times := []time.Time{time.Now().Add(-time.Minute), time.Now().Add(-2 * time.Minute)}
	require.NoError(t, l.Seed(t.Context(), fresh, times...))
	assert.Equal(t, fresh.Limit-2, available(t, l, fresh))
}
