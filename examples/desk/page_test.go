package desk_test

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/clerkorg/clerkorg-go"
	"github.com/clerkorg/clerkorg-go/clerkhook"
	"github.com/clerkorg/clerkorg-go/clerktest"
	"github.com/clerkorg/clerkorg-go/clerktest/desk"
)

var update = flag.Bool("update", false, "write the screenshots in docs/")

// browser is one tab, and what has gone wrong in it.
type browser struct {
	context.Context
	t *testing.T

	mu       sync.Mutex
	problems []string
}

func openBrowser(t *testing.T, home string) *browser {
	t.Helper()
	program := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			program = path
			break
		}
	}
	if program == "" {
		t.Skip("there is no Chromium on the PATH (Debian: apt-get install chromium)")
	}
	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(program), chromedp.NoSandbox)
	allocator, cancel := chromedp.NewExecAllocator(t.Context(), opts...)
	t.Cleanup(cancel)
	ctx, cancel := chromedp.NewContext(allocator)
	t.Cleanup(cancel)
	b := &browser{Context: ctx, t: t}
	require.NoError(t, chromedp.Do(ctx)) // begins the browser
	require.NoError(t, chromedp.Listen(ctx, func(event any) {
		b.mu.Lock()
		defer b.mu.Unlock()
		switch e := event.(type) {
		case *runtime.EventExceptionThrown:
			b.problems = append(b.problems, e.ExceptionDetails.Text)
		case *network.EventRequestWillBeSent:
			if !strings.HasPrefix(e.Request.URL, home) {
				b.problems = append(b.problems, "a request to "+e.Request.URL)
			}
		case *network.EventResponseReceived:
			if e.Response.Status >= 400 && !strings.HasSuffix(e.Response.URL, "/favicon.ico") {
				b.problems = append(b.problems, fmt.Sprint(e.Response.Status, " for ", e.Response.URL))
			}
		}
	}))
	_, err := chromedp.Call(ctx, network.Enable, network.EnableParams{})
	require.NoError(t, err)
	_, err = chromedp.Call(ctx, runtime.Enable, cdp.Empty{})
	require.NoError(t, err)
	return b
}

func (b *browser) run(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b, 30*time.Second)
	defer cancel()
	require.NoError(b.t, chromedp.Do(ctx, steps...))
}

// eval returns the value of an expression.
func eval[T any](b *browser, expression string) T {
	b.t.Helper()
	value, err := chromedp.Run(b, chromedp.Evaluate[T](expression))
	require.NoError(b.t, err)
	return value
}

// until waits for an expression to become true.
func (b *browser) until(expression string) {
	b.t.Helper()
	b.run(chromedp.Poll[chromedp.Void](expression, chromedp.WithPollingInterval(20*time.Millisecond), chromedp.WithPollingTimeout(10*time.Second)))
}

func (b *browser) view(width int64, dark bool) {
	b.t.Helper()
	scheme := "light"
	if dark {
		scheme = "dark"
	}
	_, err := chromedp.Call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
	})
	require.NoError(b.t, err)
	b.run(chromedp.EmulateViewport(width, 1000))
}

func guests(n int) []clerkorg.CreateInvitationParams {
	people := make([]clerkorg.CreateInvitationParams, n)
	for i := range people {
		people[i] = clerkorg.CreateInvitationParams{EmailAddress: fmt.Sprintf("guest%d@example.com", i), Role: clerkorg.RoleMember}
	}
	return people
}

// TestPage is the story of a visitor: people are invited through the SDK, arrive in the
// inbox, and are accepted, declined and let expire, by mouse and by keyboard.
func TestPage(t *testing.T) {
	t.Parallel()
	var accepted sync.Map
	verifier, err := clerkhook.NewVerifier("whsec_AAECAwQFBgcICQoLDA0ODw==")
	require.NoError(t, err)
	hooks := clerkhook.Mux{InvitationAccepted: func(_ context.Context, event *clerkhook.Event, invitation *clerkhook.Invitation) error {
		accepted.Store(invitation.EmailAddress, event.ID)
		return nil
	}}
	receiver := httptest.NewServer(clerkhook.Handler(verifier, hooks.HandleEvent))
	t.Cleanup(receiver.Close)
	server := clerktest.NewServer(clerktest.WithOrganizationName("Analytical Engines"),
		clerktest.WithWebhook(receiver.URL, "whsec_AAECAwQFBgcICQoLDA0ODw=="))
	t.Cleanup(server.Close)
	home := desk.Attach(server).URL()
	client, err := clerkorg.NewClient(server.SecretKey(), clerkorg.WithBaseURL(server.URL()), clerkorg.WithMaxRetries(0))
	require.NoError(t, err)

	b := openBrowser(t, server.URL())
	b.run(chromedp.Navigate(home), chromedp.WaitReady("#inbox"))
	assert.Contains(t, eval[string](b, `document.querySelector("#inbox").innerText`), "Nothing yet")

	// Ten arrive, and the gauge moves, without the page being loaded again.
	b.run(chromedp.Evaluate[chromedp.Void](`window.stays = true`))
	invitations, err := client.Organizations.CreateInvitationBulk(t.Context(), server.OrganizationID(), guests(10))
	require.NoError(t, err)
	b.until(`document.querySelectorAll(".mail.pending").length === 10`)
	b.until(`document.querySelector("[aria-labelledby='q-invitations.bulk']").value === 1`)
	assert.Contains(t, eval[string](b, `document.querySelector("#quotas").innerText`), "49 left")
	assert.Equal(t, "10 invitations have arrived.", eval[string](b, `document.querySelector("#said").innerText`))
	assert.Contains(t, eval[string](b, `document.querySelector("#calls").innerText`), "/invitations/bulk")

	// One accepts: a member, a webhook, one pending less.
	first, second, third := invitations[0], invitations[1], invitations[2]
	b.run(chromedp.Click("#a-" + first.ID))
	b.until(`document.querySelector("#people").innerText.includes("` + first.EmailAddress + `")`)
	b.until(`document.querySelectorAll(".mail.accepted").length === 1`)
	b.until(`document.querySelector("#webhooks").innerText.includes("organizationInvitation.accepted")`)
	assert.Contains(t, eval[string](b, `document.querySelector("#people").innerText`), "9 pending")
	require.Eventually(t, func() bool { _, ok := accepted.Load(first.EmailAddress); return ok }, 5*time.Second, 10*time.Millisecond)

	// By keyboard, and the focus is not lost with the button.
	b.run(chromedp.Focus("#d-"+second.ID), chromedp.KeyEvent(kb.Enter))
	b.until(`document.querySelectorAll(".mail.revoked").length === 1`)
	assert.Equal(t, "inbox-title", eval[string](b, `document.activeElement.id`))
	b.run(chromedp.Focus("#a-"+third.ID), chromedp.Click("#e-"+third.ID))
	b.until(`document.querySelectorAll(".mail.expired").length === 1`)

	// A switch stays focused while the page changes around it, and does what it says.
	b.run(chromedp.Focus("#f-down"), chromedp.KeyEvent(kb.Enter))
	b.until(`document.querySelector("#f-down").getAttribute("aria-checked") === "true"`)
	_, err = client.Organizations.Get(t.Context(), server.OrganizationID())
	require.ErrorContains(t, err, "503")
	b.until(`document.querySelector("#calls").innerText.includes("503")`)
	assert.Equal(t, "f-down", eval[string](b, `document.activeElement.id`))
	b.run(chromedp.KeyEvent(" "))
	b.until(`document.querySelector("#f-down").getAttribute("aria-checked") === "false"`)
	_, err = client.Organizations.Get(t.Context(), server.OrganizationID())
	require.NoError(t, err)
	assert.True(t, eval[bool](b, `window.stays === true`), "the page was never loaded again")

	for _, dark := range []bool{false, true} {
		for _, width := range []int64{400, 1400} {
			b.view(width, dark)
			assert.LessOrEqual(t, eval[int64](b, `document.documentElement.scrollWidth`), width, "it has to be scrolled sideways")
			assert.Empty(t, eval[[]string](b, faint), "too little contrast at %d, dark: %t", width, dark)
			scheme := map[bool]string{false: "light", true: "dark"}[dark]
			b.picture(fmt.Sprintf("desk-%d-%s.png", width, scheme))
		}
	}
	assert.Empty(t, eval[[]string](b, nameless))
	assert.Equal(t, "en", eval[string](b, `document.documentElement.lang`))
	assert.Equal(t, 1, eval[int](b, `document.querySelectorAll("h1").length`))
	assert.Equal(t, 1, eval[int](b, `document.querySelectorAll("main").length`))

	b.run(chromedp.Click("#reset"))
	b.until(`document.querySelector("#inbox").innerText.includes("Nothing yet")`)
	b.mu.Lock()
	defer b.mu.Unlock()
	assert.Empty(t, b.problems)
}

// picture takes a screenshot, which docs/ shows.
func (b *browser) picture(name string) {
	b.t.Helper()
	b.run(chromedp.Evaluate[chromedp.Void](`scrollTo(0, 0); document.querySelector("#inbox").scrollTop = 0; document.activeElement.blur()`))
	shot, err := chromedp.Run(b, chromedp.CaptureScreenshot())
	require.NoError(b.t, err)
	assert.Greater(b.t, len(shot), 10_000)
	if *update {
		require.NoError(b.t, os.WriteFile(filepath.Join("..", "..", "docs", name), shot, 0o644)) //nolint:gosec // a picture
	}
}

// TestPageWithoutScript: the forms work all the same, and load the page again.
func TestPageWithoutScript(t *testing.T) {
	t.Parallel()
	server := clerktest.NewServer()
	t.Cleanup(server.Close)
	home := desk.Attach(server).URL()
	id := server.AddInvitation(server.OrganizationID(), "ada@example.com", "org:member")
	b := openBrowser(t, server.URL())
	_, err := chromedp.Call(b, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	require.NoError(t, err)
	b.run(chromedp.Navigate(home), chromedp.WaitReady("#a-"+id))
	b.run(chromedp.Click("#a-"+id), chromedp.WaitReady(".mail.accepted"))
	assert.Len(t, server.Members(server.OrganizationID()), 2)
}

// TestPagesOfOthers: a page of another site can neither read nor post, and no name leads
// to this one.
func TestPagesOfOthers(t *testing.T) {
	t.Parallel()
	server := clerktest.NewServer()
	t.Cleanup(server.Close)
	home := desk.Attach(server).URL()
	id := server.AddInvitation(server.OrganizationID(), "ada@example.com", "org:member")
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(w, `<form method="post" action="%[1]sdo"><input name="do" value="accept"><input name="to" value="%[2]s"><button id="go">Go</button></form>
<script>
window.tried = Promise.allSettled([
  fetch("%[1]sstate").then(r => r.text()),
  fetch("%[1]sinvitations/%[2]s/accept", {method: "POST", mode: "no-cors"}),
  fetch("%[1]sreset", {method: "POST", mode: "no-cors", body: "{}"}),
]).then(all => { window.read = all[0].status; window.done = true; });
</script>`, home, id)
	}))
	t.Cleanup(other.Close)
	b := openBrowser(t, "http://")
	b.run(chromedp.Navigate(other.URL))
	b.until(`window.done === true`)
	assert.Equal(t, "rejected", eval[string](b, `window.read`))
	posted, err := chromedp.RunResponse(b, chromedp.Click("#go"))
	require.NoError(t, err)
	assert.EqualValues(t, http.StatusForbidden, posted.Status)
	require.Len(t, server.Invitations(server.OrganizationID()), 1)
	assert.Equal(t, "pending", server.Invitations(server.OrganizationID())[0].Status)
}

// faint lists the texts whose contrast is below 4.5 to 1.
const faint = `(() => {
  const channels = color => color.match(/[\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(c => c / 255).map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = element => {
    for (; element; element = element.parentElement) {
      const color = channels(getComputedStyle(element).backgroundColor);
      if (color.length < 4 || color[3] > 0) return color;
    }
    return [255, 255, 255];
  };
  const bad = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const element = walk.currentNode.parentElement;
    if (!walk.currentNode.data.trim() || !element.checkVisibility() || element.closest(".hidden, script, progress")) continue;
    const [a, b] = [light(channels(getComputedStyle(element).color)), light(ground(element))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) bad.push(ratio.toFixed(2) + " " + walk.currentNode.data.trim());
  }
  return bad;
})()`

// nameless lists what can be used or read but has no name, and ids that are not unique.
const nameless = `(() => {
  const bad = [];
  const name = e => e.getAttribute("aria-label") || (e.getAttribute("aria-labelledby") || "").split(" ")
    .map(id => document.getElementById(id)?.innerText || "").join("") || e.innerText;
  for (const e of document.querySelectorAll("button, a, progress, section, article, [role=region], [tabindex='0']"))
    if (!name(e)?.trim()) bad.push("no name: " + e.outerHTML.slice(0, 80));
  for (const e of document.querySelectorAll("input:not([type=hidden]), select, textarea"))
    if (!e.labels?.length) bad.push("no label: " + e.outerHTML);
  const ids = [...document.querySelectorAll("[id]")].map(e => e.id);
  for (const id of ids) if (ids.indexOf(id) !== ids.lastIndexOf(id)) bad.push("twice: " + id);
  for (const e of document.querySelectorAll("th")) if (!e.scope) bad.push("no scope: " + e.innerText);
  let level = 0;
  for (const e of document.querySelectorAll("h1, h2, h3")) {
    if (+e.tagName[1] > level + 1) bad.push("skipped to " + e.outerHTML);
    level = +e.tagName[1];
  }
  return bad;
})()`
