package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestCommand builds the program, starts it, calls it and interrupts it.
func TestCommand(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("a process cannot send an interrupt to another one on Windows")
	}
	program := filepath.Join(t.TempDir(), "clerktest")
	built, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, ".").CombinedOutput() //nolint:gosec // No outsider has a say in it.
	require.NoError(t, err, string(built))

	command := exec.CommandContext(t.Context(), program, "-addr", "127.0.0.1:0", "-window", "sliding-log", "-latency", "1ms", "-secret-key", "sk_test_command") //nolint:gosec // The same.
	stdout, err := command.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, command.Start())
	lines := bufio.NewScanner(stdout)
	read := func(name string) string {
		require.True(t, lines.Scan(), "a line is missing")
		value, ok := strings.CutPrefix(lines.Text(), name)
		require.True(t, ok, lines.Text())
		return value
	}
	url, key, org, admin := read("CLERK_API_URL="), read("CLERK_SECRET_KEY="), read("CLERK_ORGANIZATION_ID="), read("CLERK_USER_ID=")
	require.Equal(t, url+"/_clerktest/", read("# page: "))
	require.Regexp(t, `^http://127\.0\.0\.1:\d+$`, url)
	require.Equal(t, "sk_test_command", key)
	require.Regexp(t, `^org_`, org)
	require.Regexp(t, `^user_`, admin)

	body := `[{"email_address":"x@example.com","role":"org:member","inviter_user_id":"` + admin + `"}]`
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/v1/organizations/"+org+"/invitations/bulk", strings.NewReader(body))
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer "+key)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Equal(t, 200, resp.StatusCode, string(answer))
	require.Contains(t, string(answer), `"total_count":1`)

	require.NoError(t, command.Process.Signal(os.Interrupt))
	require.False(t, lines.Scan(), "nothing else is printed")
	require.NoError(t, command.Wait())
}

func TestArguments(t *testing.T) {
	t.Parallel()
	done, cancel := context.WithCancel(t.Context())
	cancel()
	var out strings.Builder
	require.NoError(t, run(done, []string{"-no-limits"}, &out, io.Discard))
	require.Equal(t, 5, strings.Count(out.String(), "\n"))

	out.Reset()
	require.NoError(t, run(done, []string{"-webhook", "http://127.0.0.1:9", "-webhook-secret", "whsec_AAECAwQFBgcICQoLDA0ODw=="}, &out, io.Discard))
	require.Contains(t, out.String(), "\nCLERK_WEBHOOK_SIGNING_SECRET=whsec_AAECAwQFBgcICQoLDA0ODw==\n")
	err := run(done, []string{"-webhook", "http://127.0.0.1:9", "-webhook-secret", "whsec_!"}, &out, io.Discard)
	require.EqualError(t, err, "the webhook secret must be whsec_ and standard base64")

	out.Reset()
	require.NoError(t, run(done, []string{"-json", "-org", "Acme", "-partial", "-quota", "bulk=3/10s", "-quota", "organization.get=1/1m", "-quota", "instance=0"}, &out, io.Discard))
	var told map[string]string
	require.NoError(t, json.Unmarshal([]byte(out.String()), &told))
	require.Equal(t, told["url"]+"/_clerktest/", told["page"])
	require.NotEmpty(t, told["user_id"])

	out.Reset()
	require.NoError(t, run(done, []string{"-addr", "0.0.0.0:0"}, &out, io.Discard))
	require.NotContains(t, out.String(), "page", "other machines could read the key")
	out.Reset()
	require.NoError(t, run(done, []string{"-addr", "0.0.0.0:0", "-expose"}, &out, io.Discard))
	require.Contains(t, out.String(), "page")

	for _, args := range [][]string{
		{"-window", "moon-phase"}, {"serve"}, {"-addr", "nowhere"}, {"-latency", "soon"},
		{"-quota", "bulk"}, {"-quota", "bulk=x/1s"}, {"-quota", "bulk=3"}, {"-quota", "bulk=3/soon"}, {"-quota", "lunch=3/1s"},
	} {
		require.Error(t, run(done, args, io.Discard, io.Discard), args)
	}
	require.ErrorIs(t, run(done, []string{"-help"}, io.Discard, io.Discard), flag.ErrHelp)
}
