package main

import (
	"bytes"
	"context"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestDemo kills a second process, which is this test binary, and starts it again.
func TestDemo(t *testing.T) {
	t.Setenv("CSVINVITE_IS_A_CHILD", "1")
	var out, stderr bytes.Buffer
	require.Equal(t, exitDone, run(t.Context(), []string{"-demo", "600"}, &out, &stderr), stderr.String()+out.String())
	for _, want := range []string{
		"This is an in-memory Clerk",
		"600 rows made up",
		"0 decided by earlier runs",
		"The clock is sped up 601 times: an hour of this Clerk's quotas lasts 6s.",
		"killed (kill -9) with calls under way",
		"all 600 rows have a result",
		"Clerk's own ledger: 591 people invited, nobody more than 1 time; ",
		"600 rows, 600 results.",
	} {
		assert.Contains(t, out.String(), want)
	}
}

// TestDemoOfAFile rehearses with the user's own file, and with a key that must not
// be used.
func TestDemoOfAFile(t *testing.T) {
	t.Setenv("CSVINVITE_IS_A_CHILD", "1")
	t.Setenv("CLERK_SECRET_KEY", "sk_live_real")
	people := writePeople(t, "email,role\na@x.de,org:editor\nb@x.de,\nA@x.de,\n")
	results := filepath.Join(filepath.Dir(people), "out.csv")
	var out, stderr bytes.Buffer
	require.Equal(t, exitDone, run(t.Context(), []string{"-demo", "-results", results, people}, &out, &stderr), stderr.String()+out.String())
	assert.Contains(t, out.String(), "Clerk's own ledger: 2 people invited, nobody more than 1 time")
	assert.Equal(t, 4, lines(t, results))
	assert.NotContains(t, out.String(), "killed", "too short for that")
}

// trigger is a buffer that acts when a text comes by.
type trigger struct {
	buffer bytes.Buffer // not embedded: its ReadFrom would pass Write by
	text   string
	act    func()
}

func (w *trigger) Write(p []byte) (int, error) {
	n, err := w.buffer.Write(p)
	if bytes.Contains(w.buffer.Bytes(), []byte(w.text)) {
		w.act()
	}
	return n, err
}

func TestDemoInterrupted(t *testing.T) {
	t.Setenv("CSVINVITE_IS_A_CHILD", "1")
	for text, want := range map[string]string{
		"line 452": "To go on, run:",                   // while the first process runs
		"killed":   "the same command again:\n\nThat ", // between the two
	} {
		ctx, interrupt := context.WithCancel(t.Context())
		defer interrupt()
		out := trigger{text: text, act: interrupt}
		var stderr bytes.Buffer
		assert.Equal(t, exitInterrupted, run(ctx, []string{"-demo=500"}, &out, &stderr), stderr.String()+out.buffer.String())
		assert.Contains(t, out.buffer.String(), want)
		assert.Contains(t, out.buffer.String(), "That command needs a Clerk that is still there.")
		assert.Empty(t, stderr.String())
	}
}
