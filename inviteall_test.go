package clerkorg

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/clerkorg/clerkorg-go/clerktest"
)

func TestInviteAllThousands(t *testing.T) {
	const people = 10_000
	forEachWindow(t, windows, func(t *testing.T, server *clerktest.Server, window clerktest.Window, bulkOnly bool) {
		start := time.Now()
		results := gather(t, inviteAll(t, inMemory(t, server), server, crowd(people, nil), &InviteAllOptions{BulkOnly: bulkOnly}), people)
		hours := time.Since(start).Hours()

		mostRefused, mostHours := 0, 13.05
		switch counter := isSlidingCounter(window); {
		case counter && bulkOnly:
			mostRefused, mostHours = 4, 20.5
		case counter:
			mostRefused, mostHours = 4, 13.65
		case bulkOnly:
			mostHours = 19.06
		}
		refused := rateLimited(server)
		t.Logf("%v refused, %.3f h", refused, hours)
		for operation, count := range refused {
			assert.LessOrEqual(t, count, mostRefused, operation)
		}
		assert.LessOrEqual(t, hours, mostHours)
		assert.LessOrEqual(t, server.CallCount(clerktest.OpMemberships), people/75+10, "each question is about as many as a URL holds")
		assert.Equal(t, map[InviteOutcome]int{OutcomeInvited: people}, countOutcomes(results))
		assertEachOnce(t, server, people)
	})
}
