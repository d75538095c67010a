package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"text/tabwriter"

	"github.com/clerkorg/clerkorg-go"
	"github.com/clerkorg/clerkorg-go/clerktest"
)

// bulkLimit is how many bulk calls Clerk takes in an hour.
const bulkLimit = 50

// ledger prints what the server has seen, and returns an error where that is not what
// it must be.
func (c *clerk) ledger(ctx context.Context, out io.Writer, s *stack) error {
	invited := c.InvitedAddresses(c.organization)
	once, twice := 0, 0
	for _, n := range invited {
		if n == 1 {
			once++
		} else {
			twice++
		}
	}
	bulk := c.CallCount(clerktest.OpBulk)
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "\nClerk's ledger\n")
	fmt.Fprintf(table, "  people invited once\t%d of %d\n", once, people)
	fmt.Fprintf(table, "  people invited twice\t%d\n", twice)
	fmt.Fprintf(table, "  bulk calls\t%d of %d an hour\n", bulk, bulkLimit)
	fmt.Fprintf(table, "  single calls\t%d\n", c.CallCount(clerktest.OpCreate))
	fmt.Fprintf(table, "  list calls\t%d\n", c.CallCount(clerktest.OpList))
	fmt.Fprintf(table, "  answers with 429\t%d\n", c.RateLimited())
	for _, p := range s.processes() {
		left, err := p.quotaLeft(ctx)
		if err != nil {
			return err
		}
		fmt.Fprintf(table, "  quota left, says %s\t%s\n", p.name, left)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	var failures []error
	must := func(holds bool, what string) {
		if !holds {
			failures = append(failures, errors.New(what))
		}
	}
	must(once == people, "not everyone is invited once")
	must(len(invited) == people, "others are invited")
	must(bulk == bulkLimit, "the quota is not used up")
	must(c.RateLimited() == 0, "the quota was exceeded")
	return errors.Join(failures...)
}

var left = regexp.MustCompile(`(?m)^clerk_quota_left\{[^}]*clerk_quota="` + regexp.QuoteMeta(clerkorg.QuotaBulk) + `"[^}]*\} (\S+)$`)

// quotaLeft reads what the process tells Prometheus of the shared quota.
func (p *process) quotaLeft(ctx context.Context) (string, error) {
	if p.killed {
		return "(killed)", nil
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.metrics, http.NoBody)
	if err != nil {
		return "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", fmt.Errorf("read the metrics of %s: %w", p.name, err)
	}
	defer resp.Body.Close()
	var text strings.Builder
	if _, err := io.Copy(&text, resp.Body); err != nil {
		return "", err
	}
	match := left.FindStringSubmatch(text.String())
	if match == nil {
		return "", fmt.Errorf("%s tells no quota", p.name)
	}
	return match[1], nil
}
