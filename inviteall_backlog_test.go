package clerkorg

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// rowsOf are rows with the letters of names as their addresses.
func rowsOf(names string) []*row {
	rows := make([]*row, len(names))
	for i, name := range names {
		rows[i] = &row{index: i, wire: wireInvitation{EmailAddress: string(name), Role: RoleMember}}
	}
	return rows
}

func namesOf(rows []*row) string {
	var names strings.Builder
	for _, in := range rows {
		names.WriteString(in.wire.EmailAddress)
	}
	return names.String()
}

var (
	errBlocked = &APIError{StatusCode: 403, Errors: []ErrorDetail{{Code: CodeNotAllowedAccess}}}
	errVague   = &APIError{StatusCode: 400, Errors: []ErrorDetail{{Code: CodeBadRequest}}}
)

// TestBacklogOrder tells what is sent next, and what follows from the answer. A
// step is "bulk" or "single" with the rows that are to come, and what is told of
// them: nothing, "created", "refused", "named:" and the rows that the refusal names,
// "back", "again", "end" or "full". With "hold" it has no answer yet: a later step
// "held" gives the one to the batch that was held first.
func TestBacklogOrder(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		rows      string
		bulkOnly  bool
		more      bool
		maxSingle int
		refusal   *APIError
		steps     []string
		bad       string // rows found bad without a call of their own
	}{
		"nothing":                 {steps: []string{"bulk", "single"}},
		"tens, and a last one":    {rows: "abcdefghijklm", steps: []string{"bulk abcdefghij", "bulk klm", "bulk"}},
		"waits for ten":           {rows: "abc", more: true, steps: []string{"bulk", "single a", "single b", "single c", "single"}},
		"ten while more may come": {rows: "abcdefghij", more: true, steps: []string{"bulk abcdefghij", "bulk"}},
		"put back in its order":   {rows: "abcdefghijklm", steps: []string{"bulk abcdefghij back", "bulk abcdefghij", "single k back", "bulk klm"}},
		"again at once":           {rows: "abcdefghijkl", steps: []string{"bulk abcdefghij again", "bulk abcdefghij", "bulk kl"}},
		"again after others":      {rows: "abcdefghijkl", steps: []string{"bulk abcdefghij end", "bulk klabcdefgh", "bulk ij"}},
		"named: the others are likely good, and wait for others like them": {
			rows: "abcdefghijklmnopqrst", more: true, steps: []string{"bulk abcdefghij named:b", "bulk klmnopqrst", "bulk", "single a"}},
		"likely ones fill up the last batch": {
			rows: "abcdefghijkl", steps: []string{"bulk abcdefghij named:b", "bulk acdefghikl", "bulk j"}},
		"likely ones stay among themselves once they are ten": {
			rows: "abcdefghijklmnopqrstuvwx", steps: []string{"bulk abcdefghij named:abcde", "bulk klmnopqrst named:klmno", "bulk fghijpqrst", "bulk uvwx"}},
		"unnamed: one by one": {
			rows: "abcdefghijkl", maxSingle: 10, steps: []string{"bulk abcdefghij refused", "single a", "single b", "bulk kl", "single c"}},
		"more than the single lane takes": {
			rows: "abcdefghijklmnopqrst", maxSingle: 10, refusal: errBlocked,
			steps: []string{"bulk abcdefghij refused", "bulk klmnopqrst refused", "bulk klmno created", "bulk pq created", "bulk r created", "bulk s created"}, bad: "t"},
		"more than the single lane takes: the last of a group still goes alone": {
			rows: "abcd", steps: []string{"bulk abcd refused", "bulk ab created", "bulk c created", "bulk", "single d", "single"}},
		"bulk only: the half that is refused is halved, the other one is likely good": {
			rows: "abcdefghij", bulkOnly: true, refusal: errBlocked,
			steps: []string{"bulk abcdefghij refused", "bulk abcde refused", "bulk ab refused", "bulk a refused", "bulk fghijcdeb", "bulk"}},
		"bulk only: the half beside one that was created is halved": {
			rows: "abcdefghij", bulkOnly: true, refusal: errBlocked,
			steps: []string{"bulk abcdefghij refused", "bulk abcde created", "bulk fg created", "bulk h created", "bulk i refused", "bulk j"}},
		"bulk only: the last of a group needs no call": {
			rows: "abcdefghij", bulkOnly: true, refusal: errBlocked,
			steps: []string{"bulk abcdefghij refused", "bulk abcde created", "bulk fg created", "bulk h created", "bulk i created", "bulk"}, bad: "j"},
		"bulk only: a refusal that may be about all rows together proves nothing": {
			rows: "abcd", bulkOnly: true, refusal: errVague,
			steps: []string{"bulk abcd refused", "bulk ab created", "bulk c created", "bulk d", "bulk"}},
		"single calls take from groups": {
			rows: "abcdefghij", refusal: errBlocked,
			steps: []string{"bulk abcdefghij refused", "single a refused", "bulk bcdefghij", "single"}},
		"a part of a group that is put back": {
			rows: "abcdef", bulkOnly: true,
			steps: []string{"bulk abcdef refused", "bulk abc back", "bulk abc", "bulk"}},
		"a part of a group without an outcome": {
			rows: "abcdef", bulkOnly: true,
			steps: []string{"bulk abcdef refused", "bulk abc again", "bulk abc created", "bulk d"}},
		"no room: one by one": {
			rows: "abcdefghijkl", steps: []string{"bulk abcdefghij full", "bulk", "single a", "single b"}},
		"no room: what is left of refused batches goes one by one too": {
			rows: "abcdefghijklmn", refusal: errBlocked,
			steps: []string{"bulk abcdefghij hold", "bulk klmn refused", "held abcdefghij full", "bulk", "single k created", "single l", "bulk", "single a"}},
		"no room, bulk only: smaller batches": {
			rows: "abcdefghijkl", bulkOnly: true, steps: []string{"bulk abcdefghij full", "bulk abcde full", "bulk ab full", "bulk a", "bulk b"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBacklog(tt.bulkOnly, tt.maxSingle)
			b.add(queueFresh, rowsOf(tt.rows)...)
			refusal := tt.refusal
			if refusal == nil {
				refusal = errVague
			}
			var bad strings.Builder
			var held []*batch
			for i, step := range tt.steps {
				words := append(strings.Fields(step), "", "")
				var sent *batch
				switch words[0] {
				case "bulk":
					sent = b.next(tt.more)
				case "single":
					sent = b.nextSingle()
				case "held":
					sent, held = held[0], held[1:]
				}
				if words[1] == "" {
					require.Nil(t, sent, "step %d: %s", i, step)
					continue
				}
				require.NotNil(t, sent, "step %d: %s", i, step)
				require.Equal(t, words[1], namesOf(sent.rows), "step %d: %s", i, step)
				switch told, named, _ := strings.Cut(words[2], ":"); told {
				case "created":
					if in, why := b.created(sent); in != nil {
						assert.Same(t, refusal, why)
						bad.WriteString(namesOf([]*row{in}))
					}
				case "refused":
					others := sent.rows
					if len(others) == 1 {
						others = nil
					}
					b.refused(sent, others, false, refusal)
				case "named":
					others := slices.DeleteFunc(slices.Clone(sent.rows), func(in *row) bool { return strings.Contains(named, in.wire.EmailAddress) })
					b.refused(sent, others, true, refusal)
				case "back":
					b.putBack(sent)
				case "again", "end":
					b.again(sent, sent.rows, true, told == "end")
				case "full":
					b.noRoom(sent, sent.rows)
				case "hold":
					held = append(held, sent)
				}
			}
			assert.Equal(t, tt.bad, bad.String())
		})
	}
}

// TestBacklogRemove takes rows out of every queue: what is left of a group may be
// good.
func TestBacklogRemove(t *testing.T) {
	t.Parallel()
	b := newBacklog(true, 0)
	rows := rowsOf("abcdefghijkl")
	b.add(queueFresh, rows[:3]...)
	b.add(queueLikely, rows[3:5]...)
	b.add(queueSingle, rows[5:7]...)
	b.addGroup(rows[7:9], errVague)
	b.addGroup(rows[9:12], errVague)
	removed := b.remove(func(in *row) bool { return strings.Contains("bdfk", in.wire.EmailAddress) })
	assert.Equal(t, "bdfk", namesOf(removed))
	assert.Equal(t, "ac", namesOf(b.fresh))
	assert.Equal(t, "ejl", namesOf(b.likely))
	assert.Equal(t, "g", namesOf(b.single))
	require.Len(t, b.groups, 1)
	assert.Equal(t, "hi", namesOf(b.groups[0].rows))
}

// TestBacklogCost counts the calls that bad rows cost beyond a tenth of a call for
// each good one, where a refusal names no address.
func TestBacklogCost(t *testing.T) {
	t.Parallel()
	const people = 10_000
	for _, percent := range []int{1, 2, 5, 10, 30} {
		t.Run(fmt.Sprintf("bad=%d%%", percent), func(t *testing.T) {
			t.Parallel()
			random := rand.New(rand.NewPCG(uint64(percent), 7))
			isBad := make([]bool, people)
			bad := 0
			b := newBacklog(true, 0)
			for i := range isBad {
				if isBad[i] = random.IntN(100) < percent; isBad[i] {
					bad++
				}
				b.add(queueFresh, &row{index: i})
			}
			calls, rejected, created := 0, map[int]bool{}, 0
			for {
				sent := b.next(false)
				if sent == nil {
					break
				}
				calls++
				require.Less(t, calls, 4*people, "they do not end")
				if !slices.ContainsFunc(sent.rows, func(in *row) bool { return isBad[in.index] }) {
					created += len(sent.rows)
					if in, _ := b.created(sent); in != nil {
						rejected[in.index] = true
					}
					continue
				}
				if len(sent.rows) == 1 {
					rejected[sent.rows[0].index] = true
					b.refused(sent, nil, false, errBlocked)
					continue
				}
				b.refused(sent, sent.rows, false, errBlocked)
			}
			cost := (float64(calls) - people/10) / float64(bad)
			t.Logf("%.2f bulk calls for each of %d bad rows", cost, bad)
			assert.LessOrEqual(t, cost, 4.0)
			assert.Equal(t, people-bad, created)
			assert.Len(t, rejected, bad)
			for i := range rejected {
				require.True(t, isBad[i])
			}
		})
	}
}
