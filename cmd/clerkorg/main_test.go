package main

import (
	"bytes"
	"context"
	"flag"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/clerkorg/clerkorg-go"
	"github.com/clerkorg/clerkorg-go/clerktest"
)

func TestMain(m *testing.M) {
	for _, name := range []string{"CLERK_SECRET_KEY", "CLERK_ORGANIZATION_ID", "CLERK_API_URL"} {
		_ = os.Unsetenv(name)
	}
	// Many of the tests wait for a process. What the command line says comes after this.
	_ = flag.Set("test.parallel", "6")
	code := m.Run()
	removeBinary()
	os.Exit(code)
}

// output is what a command line came to.
type output struct {
	code     int
	out, err string
}

// runWith runs a command line in this process, with options of the client.
func runWith(ctx context.Context, options []clerkorg.Option, in string, args ...string) output {
	var out, errOut bytes.Buffer
	a := &app{args: append([]string{"clerkorg"}, args...), in: strings.NewReader(in), out: &out, errOut: &errOut, options: options}
	code := a.run(ctx)
	return output{code, out.String(), errOut.String()}
}

func run(t *testing.T, args ...string) output {
	t.Helper()
	return runWith(t.Context(), nil, "", args...)
}

// against returns the options that lead to a server in memory, whose key and
// organization are in the environment from now on.
func against(t *testing.T, server *clerktest.Server) []clerkorg.Option {
	t.Helper()
	t.Setenv("CLERK_SECRET_KEY", server.SecretKey())
	t.Setenv("CLERK_ORGANIZATION_ID", server.OrganizationID())
	return []clerkorg.Option{clerkorg.WithHTTPClient(&http.Client{Transport: server.Transport()})}
}

func writeFile(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(content)
}

func entries(t *testing.T, dir string) (names []string) {
	t.Helper()
	all, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, entry := range all {
		names = append(names, entry.Name())
	}
	return names
}

func TestWrongUse(t *testing.T) {
	people := writeFile(t, "people.csv", "email\na@x.de\n")
	key := writeFile(t, "key", "nonsense\n")
	for _, tt := range []struct{ key, args, want string }{
		{"", "import " + people, "there is no secret key: set CLERK_SECRET_KEY, or give --key-file"},
		{"", "list", "there is no secret key"},
		{"", "bogus", `unknown command "bogus"`},
		{"", "list --bogus", "unknown flag: --bogus"},
		{"", "list everything", `"everything" is too much`},
		{"", "list --format xml", `there are table, json and csv, and no "xml"`},
		{"", "list --status sent", `there are pending, accepted, revoked, expired, and no "sent"`},
		{"", "import", "which file?"},
		{"", "import a.csv b.csv", `"b.csv" is too much`},
		{"", "import --dry-run nowhere.csv", "nowhere.csv"},
		{"", "import --dry-run --sheet x " + people, "there are sheets in .xlsx files only"},
		{"", "import --demo --results x.xlsx " + people, "the results are CSV"},
		{"", "import --demo --results " + people + " " + people, "is the input"},
		{"", "import --demo --max-rejected -1", "must not be negative"},
		{"", "list --verbose --quiet", "give either"},
		{"", "--key-file " + key + " list", "the secret key must begin with sk_test_"},
		{"", "--key-file nowhere list", "--key-file: open nowhere"},
		{"", "invite", "give at least one of them: addresses"},
		{"", "resend", "which ones?"},
		{"", "resend --expired a@x.de", "either"},
		{"", "revoke", "which ones?"},
		{"", "revoke --older-than 3d a@x.de", "either"},
		{"", "revoke --older-than soon", "as in 14d"},
		{"", "revoke --older-than xd", "as in 14d"},
		{"sk_test_1", "import " + people, "which organization?"},
		{"sk_test_1", "list --api-url http://example.com --org org_1", "must be https"},
		{"nonsense", "list --org org_1", "CLERK_SECRET_KEY must begin with sk_test_"},
	} {
		t.Run(tt.key+" "+filepath.Base(tt.args), func(t *testing.T) {
			if tt.key != "" {
				t.Setenv("CLERK_SECRET_KEY", tt.key)
			}
			got := run(t, strings.Fields(tt.args)...)
			assert.Equal(t, exitWrongUse, got.code, got.err)
			assert.Contains(t, got.err, tt.want)
			assert.Empty(t, got.out)
		})
	}
	assert.Equal(t, []string{"people.csv"}, entries(t, filepath.Dir(people)))
}

func TestHelp(t *testing.T) {
	t.Parallel()
	for _, command := range []string{"", "import", "invite", "list", "resend", "revoke", "quota"} {
		got := run(t, strings.Fields(command+" --help")...)
		assert.Equal(t, exitDone, got.code)
		assert.Contains(t, got.out, exitCodes)
	}
	assert.Equal(t, "clerkorg "+clerkorg.Version+"\n", run(t, "--version").out)
	assert.Contains(t, run(t, "completion", "bash").out, "bash completion")
	dir := filepath.Join(t.TempDir(), "man")
	require.Equal(t, exitDone, run(t, "man", dir).code)
	assert.Contains(t, entries(t, dir), "clerkorg-import.1")
	assert.Contains(t, readFile(t, filepath.Join(dir, "clerkorg-import.1")), "done, but some were rejected")
}

func TestCommandLine(t *testing.T) {
	t.Parallel()
	a := &app{args: []string{"bin/clerkorg", "import", "our people's.csv", "--role", ""}}
	assert.Equal(t, `bin/clerkorg import 'our people'\''s.csv' --role ''`, a.commandLine())
	assert.Equal(t, "go run ./cmd/clerkorg", program("/tmp/go-build123/b001/exe/clerkorg"))
}
