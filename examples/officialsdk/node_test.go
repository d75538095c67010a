package officialsdk_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/clerkorg/clerkorg-go/clerktest"
)

// TestNode runs official.mjs. It needs node and what npm ci installs; it is
// skipped without them, except in CI.
func TestNode(t *testing.T) {
	t.Parallel()
	unavailable := t.Skip
	if os.Getenv("CI") != "" {
		unavailable = t.Fatal
	}
	node, err := exec.LookPath("node")
	if err != nil {
		unavailable("node is not installed: ", err)
	}
	if _, err := os.Stat("node_modules/@clerk/backend"); err != nil {
		unavailable("@clerk/backend is not installed, run npm ci here: ", err)
	}

	// More than 50 bulk calls come within seconds: the live key has the larger instance
	// quota, and a sliding log starts no new window between them.
	server := clerktest.NewServer(clerktest.WithLiveKey(), clerktest.WithRateLimits(clerktest.SlidingLog))
	t.Cleanup(server.Close)
	command := exec.CommandContext(t.Context(), node, "official.mjs", //nolint:gosec // fixed arguments
		server.URL(), server.SecretKey(), server.OrganizationID(), server.AdminUserID())
	output, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	if !strings.HasSuffix(string(output), "ok\n") {
		t.Fatalf("it ended early:\n%s", output)
	}
	if got := server.TimesInvited(server.OrganizationID(), "ann@example.com"); got != 1 {
		t.Errorf("ann was invited %d times", got)
	}
}
