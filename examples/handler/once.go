package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	keepAnswers = 24 * time.Hour

	// claimAnswers is for how long a request holds its key: if its process dies, the
	// same request may be tried again then.
	claimAnswers = requestTimeout + 10*time.Second

	maxKey = 255 // bytes of an Idempotency-Key
)

// kept is the answer to a request with an Idempotency-Key, or the claim of one that is
// under way, which has no Status yet.
type kept struct {
	Digest      string `json:"digest"` // of the request's body
	Status      int    `json:"status,omitempty"`
	ContentType string `json:"content_type,omitempty"`
	Body        []byte `json:"body,omitempty"`
}

// answers keeps answers by key.
type answers interface {
	// claim keeps claimed, unless there is something under the key, which it returns.
	claim(ctx context.Context, key string, claimed kept) (*kept, error)
	// keep replaces the claim, or takes it back where answer is nil.
	keep(ctx context.Context, key string, answer *kept) error
}

// once has a request with an Idempotency-Key done once, as far as its answer tells: who
// sends it again within a day, because a proxy in between lost the answer, gets the same
// answer. The key belongs to the organization in the path and to the caller's
// credentials. Answers that a repetition may improve are not kept: those with a 5xx,
// 408, 409 or 429, after which the same request goes on where it stopped.
func (s *service) once(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		given := r.Header.Get("Idempotency-Key")
		if given == "" {
			next(w, r)
			return
		}
		if len(given) > maxKey || strings.ContainsFunc(given, func(c rune) bool { return c <= ' ' || c > '~' }) {
			s.fail(r.Context(), w, &problem{Status: http.StatusBadRequest, Code: "idempotency_key_invalid",
				Detail: fmt.Sprintf("Idempotency-Key must have 1 to %d visible ASCII characters", maxKey)})
			return
		}
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody+1)) // longer ones are refused below
		if err != nil {
			s.fail(r.Context(), w, bodyProblem(err))
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))

		key := hash(r.PathValue("id"), r.Header.Get("Authorization"), given)
		claimed := kept{Digest: hash(string(body))}
		found, err := s.answers.claim(r.Context(), key, claimed)
		switch {
		case err != nil:
			s.fail(r.Context(), w, &problem{Status: http.StatusServiceUnavailable, Code: "idempotency_unknown",
				Detail: "whether the request was made before cannot be looked up: send it again later", err: err})
		case found == nil:
			s.answerOnce(w, r, key, claimed, next)
		case found.Digest != claimed.Digest:
			s.fail(r.Context(), w, &problem{Status: http.StatusUnprocessableEntity, Code: "idempotency_key_reused",
				Detail: "another request had this Idempotency-Key"})
		case found.Status == 0:
			s.fail(r.Context(), w, &problem{Status: http.StatusConflict, Code: "in_progress", retryAfter: time.Second,
				Detail: "the same request is under way: send it again after the time in Retry-After"})
		default:
			w.Header().Set("Content-Type", found.ContentType)
			w.Header().Set("Idempotent-Replayed", "true")
			w.WriteHeader(found.Status)
			_, _ = w.Write(found.Body) //nolint:gosec // JSON, as it was written the first time; a caller who has left asks again.
		}
	}
}

// answerOnce answers a request that holds its key, and keeps the answer.
func (s *service) answerOnce(w http.ResponseWriter, r *http.Request, key string, claimed kept, next http.HandlerFunc) {
	var answer *kept
	// The caller may have left, and the process may be about to stop.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), time.Minute)
	defer cancel()
	defer func() { // also where next panics
		if err := s.answers.keep(ctx, key, answer); err != nil {
			s.log.WarnContext(ctx, "an answer is not kept", "err", err)
		}
	}()
	copied := &copiedAnswer{ResponseWriter: w, status: http.StatusOK}
	next(copied, r)
	if definite(copied.status) {
		claimed.Status, claimed.ContentType, claimed.Body = copied.status, w.Header().Get("Content-Type"), copied.body.Bytes()
		answer = &claimed
	}
}

// definite reports whether a repetition of the request would have the same answer.
func definite(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusConflict, http.StatusTooManyRequests:
		return false
	}
	return status < http.StatusInternalServerError
}

func hash(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\n")))
	return hex.EncodeToString(sum[:])
}

// copiedAnswer copies what is written.
type copiedAnswer struct {
	http.ResponseWriter

	status int
	body   bytes.Buffer
}

func (c *copiedAnswer) WriteHeader(status int) {
	c.status = status
	c.ResponseWriter.WriteHeader(status)
}

func (c *copiedAnswer) Write(p []byte) (int, error) {
	c.body.Write(p)
	return c.ResponseWriter.Write(p)
}

// sharedAnswers keeps answers in Redis, for all replicas. They hold the addresses of the
// request.
type sharedAnswers struct{ redis redis.UniversalClient }

func (a sharedAnswers) claim(ctx context.Context, key string, claimed kept) (*kept, error) {
	value, err := json.Marshal(claimed)
	if err != nil {
		return nil, err
	}
	for {
		free, err := a.redis.SetNX(ctx, answerKey(key), value, claimAnswers).Result()
		if free || err != nil {
			return nil, err
		}
		before, err := a.redis.Get(ctx, answerKey(key)).Bytes()
		if errors.Is(err, redis.Nil) {
			continue // it has just been taken back
		}
		if err != nil {
			return nil, err
		}
		found := new(kept)
		return found, json.Unmarshal(before, found)
	}
}

func (a sharedAnswers) keep(ctx context.Context, key string, answer *kept) error {
	if answer == nil {
		return a.redis.Del(ctx, answerKey(key)).Err()
	}
	value, err := json.Marshal(answer)
	if err != nil {
		return err
	}
	return a.redis.Set(ctx, answerKey(key), value, keepAnswers).Err()
}

func answerKey(key string) string { return "handler:answer:" + key }

// ownAnswers keeps answers in this process, for one that runs alone.
type ownAnswers struct {
	mu  sync.Mutex
	all map[string]ownAnswer
}

type ownAnswer struct {
	kept

	until time.Time
}

func (a *ownAnswers) claim(_ context.Context, key string, claimed kept) (*kept, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	for key, answer := range a.all { // a process that runs alone has few
		if now.After(answer.until) {
			delete(a.all, key)
		}
	}
	if found, ok := a.all[key]; ok {
		return &found.kept, nil
	}
	if a.all == nil {
		a.all = map[string]ownAnswer{}
	}
	a.all[key] = ownAnswer{claimed, now.Add(claimAnswers)}
	return nil, nil //nolint:nilnil // There was nothing.
}

func (a *ownAnswers) keep(_ context.Context, key string, answer *kept) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if answer == nil {
		delete(a.all, key)
		return nil
	}
	a.all[key] = ownAnswer{*answer, time.Now().Add(keepAnswers)}
	return nil
}
