package paging

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// list is a slice that is read in pages, and may change between them.
type list struct {
	items  []string
	cap    int             // the largest page that it gives, if not 0
	total  func(n int) int // what it tells of n items; nil is the truth
	before func(fetch int) // changes the items before the fetch, from 1
	failAt int             // the fetch that fails
	asked  []int           // the offsets
}

var (
	errBroken  = errors.New("the list is broken")
	errEndless = errors.New("the walk does not end")
)

func (l *list) fetch(_ context.Context, limit, offset int) ([]string, int, error) {
	l.asked = append(l.asked, offset)
	if l.before != nil {
		l.before(len(l.asked))
	}
	if len(l.asked) == l.failAt {
		return nil, 0, errBroken
	}
	if len(l.asked) > 5_000 {
		return nil, 0, errEndless
	}
	n := len(l.items)
	total := n
	if l.total != nil {
		total = l.total(n)
	}
	if l.cap > 0 {
		limit = min(limit, l.cap)
	}
	offset = min(offset, n)
	return slices.Clone(l.items[offset:min(n, offset+limit)]), total, nil
}

func (l *list) pager(limit int, newestFirst bool) Pager[string] {
	return Pager[string]{Limit: limit, NewestFirst: newestFirst, Fetch: l.fetch, ID: func(s *string) string { return *s }}
}

func numbered(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("%03d", i)
	}
	return all
}

// read ranges to the end, and returns the items before the error.
func read(t *testing.T, p Pager[string]) (items []string, end error) {
	t.Helper()
	items = []string{}
	for item, err := range p.All(t.Context()) {
		require.NoError(t, end, "yielded after an error")
		if err != nil {
			require.Empty(t, item)
			end = err
			continue
		}
		items = append(items, item)
	}
	return items, end
}

var totals = map[string]func(n int) int{
	"right":     nil,
	"missing":   func(int) int { return 0 },
	"negative":  func(int) int { return -1 },
	"too small": func(n int) int { return min(n, 1) },
	"too large": func(n int) int { return n + 7 },
	"huge":      func(int) int { return 1 << 60 },
}

// TestUnchanged yields everything in its order, whatever the total says.
func TestUnchanged(t *testing.T) {
	t.Parallel()
	for name, total := range totals {
		for _, newestFirst := range []bool{true, false} {
			t.Run(fmt.Sprintf("total=%s/newestFirst=%t", name, newestFirst), func(t *testing.T) {
				t.Parallel()
				for n := range 35 {
					for _, limit := range []int{1, 2, 3, 10, 500} {
						for _, largest := range []int{0, 1, 4} {
							if name == "too small" && limit == 1 {
								continue // one of one is all there is
							}
							short := largest > 0 && largest < max(2, limit)
							if short && name != "right" && name != "huge" && name != "too large" {
								continue // a short page is the last one, for all that is told
							}
							l := &list{items: numbered(n), cap: largest, total: total}
							got, err := read(t, l.pager(limit, newestFirst))
							require.NoError(t, err)
							require.Equal(t, l.items, got, "%d by %d, at most %d", n, limit, largest)
							require.LessOrEqual(t, len(l.asked), 2*n+4)
						}
					}
				}
			})
		}
	}
}

// TestOffsets tells which pages are read, where the list changes before the second.
func TestOffsets(t *testing.T) {
	t.Parallel()
	grow := func(l *list) { l.items = slices.Insert(l.items, 0, "new1", "new2") }
	shrink := func(l *list) { l.items = slices.Delete(l.items, 1, 3) }
	for name, tt := range map[string]struct {
		limit       int
		newestFirst bool
		noTotal     bool
		change      func(*list)
		offsets     []int
		want        string
	}{
		"newest first, steady":            {4, true, false, nil, []int{0, 4, 8}, "000 001 002 003 004 005 006 007 008 009"},
		"newest first, grows":             {4, true, false, grow, []int{0, 4, 8}, "000 001 002 003 004 005 006 007 008 009"},
		"newest first, shrinks":           {4, true, false, shrink, []int{0, 4, 2, 6}, "000 001 002 003 004 005 006 007 008 009"},
		"newest first, both":              {4, true, false, func(l *list) { shrink(l); grow(l) }, []int{0, 4, 8}, "000 001 002 003 004 005 006 007 008 009"},
		"newest first, all but one leave": {4, true, false, func(l *list) { l.items = l.items[9:] }, []int{0, 4, 0}, "000 001 002 003 009"},
		"newest first, pages of one":      {1, true, false, func(l *list) { l.items = l.items[8:] }, []int{0, 1, 0, 1}, "000 008 009"},
		"no total, steady":                {4, true, true, nil, []int{0, 3, 6, 9}, "000 001 002 003 004 005 006 007 008 009"},
		"no total, shrinks":               {4, true, true, func(l *list) { l.items = l.items[4:] }, []int{0, 3, 0, 3}, "000 001 002 003 004 005 006 007 008 009"},
		"other order, steady":             {4, false, false, nil, []int{0, 3, 6}, "000 001 002 003 004 005 006 007 008 009"},
		"other order, grows":              {4, false, false, grow, []int{0, 3, 6, 9}, "000 001 002 003 004 005 006 007 008 009"},
		"other order, shrinks":            {4, false, false, func(l *list) { l.items = l.items[4:] }, []int{0, 3, 0, 3}, "000 001 002 003 004 005 006 007 008 009"},
		"other order, pages of one":       {1, false, false, func(l *list) { l.items = l.items[7:] }, []int{0, 1, 0, 1}, "000 001 007 008 009"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := &list{items: numbered(10)}
			if tt.noTotal {
				l.total = func(int) int { return 0 }
			}
			l.before = func(fetch int) {
				if fetch == 2 && tt.change != nil {
					tt.change(l)
				}
			}
			got, err := read(t, l.pager(tt.limit, tt.newestFirst))
			require.NoError(t, err)
			assert.Equal(t, tt.offsets, l.asked)
			assert.Equal(t, tt.want, strings.Join(got, " "))
		})
	}
}

// TestChanging changes the list at random before every page. No item is yielded
// twice, and none is left out that was there from the start to the end.
func TestChanging(t *testing.T) {
	t.Parallel()
	for _, order := range []struct {
		name        string
		newestFirst bool
	}{{"newest first", true}, {"other order", false}} {
		for _, change := range []struct {
			name       string
			growsAtAll bool
			shrinks    bool
		}{{"grows", true, false}, {"shrinks", false, true}, {"grows and shrinks", true, true}} {
			for _, total := range []string{"right", "missing", "negative"} {
				t.Run(fmt.Sprintf("%s/%s/total=%s", order.name, change.name, total), func(t *testing.T) {
					t.Parallel()
					for seed := range uint64(200) {
						random := rand.New(rand.NewPCG(seed, 7))
						l := &list{items: numbered(random.IntN(60)), total: totals[total]}
						steady := map[string]bool{}
						for _, item := range l.items {
							steady[item] = true
						}
						added := 0
						l.before = func(fetch int) {
							for range random.IntN(5) {
								n := len(l.items)
								if n > 0 && change.shrinks && (!change.growsAtAll || random.IntN(5) < 3) {
									i := random.IntN(n)
									delete(steady, l.items[i])
									l.items = slices.Delete(l.items, i, i+1)
								} else if change.growsAtAll && fetch < 200 {
									at := 0
									if !order.newestFirst {
										at = random.IntN(n + 1)
									}
									added++
									l.items = slices.Insert(l.items, at, fmt.Sprintf("new%d", added))
								}
							}
						}
						got, err := read(t, l.pager(1+random.IntN(9), order.newestFirst))
						require.NoError(t, err)
						seen := map[string]bool{}
						for _, item := range got {
							require.False(t, seen[item], "seed %d: %s twice", seed, item)
							seen[item] = true
						}
						for item := range steady {
							require.True(t, seen[item], "seed %d: %s left out of %v", seed, item, got)
						}
					}
				})
			}
		}
	}
}

// TestError ends the walk after the items that were read before it.
func TestError(t *testing.T) {
	t.Parallel()
	for failAt := 1; failAt <= 4; failAt++ {
		t.Run(fmt.Sprintf("page=%d", failAt), func(t *testing.T) {
			t.Parallel()
			l := &list{items: numbered(20), failAt: failAt}
			got, err := read(t, l.pager(5, true))
			require.ErrorIs(t, err, errBroken)
			assert.Equal(t, numbered(5*(failAt-1)), got)
			assert.Len(t, l.asked, failAt)
		})
	}
}

// TestLazy fetches nothing before the range, and starts anew with each.
func TestLazy(t *testing.T) {
	t.Parallel()
	l := &list{items: numbered(7)}
	all := l.pager(3, true).All(t.Context())
	assert.Empty(t, l.asked)
	for range 2 {
		l.asked = nil
		var got []string
		for item, err := range all {
			require.NoError(t, err)
			got = append(got, item)
		}
		assert.Equal(t, l.items, got)
		assert.Equal(t, []int{0, 3, 6}, l.asked)
	}
}

// TestAhead fetches one page while the one before it is read, and no more.
func TestAhead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &list{items: numbered(12), before: func(int) { time.Sleep(time.Second) }}
		start := time.Now()
		read := 0
		for _, err := range l.pager(3, true).All(t.Context()) {
			require.NoError(t, err)
			time.Sleep(2 * time.Second)
			synctest.Wait()
			assert.Len(t, l.asked, min(4, 2+read/3))
			read++
		}
		assert.Equal(t, 25*time.Second, time.Since(start), "only the first page was waited for")
	})
}

// TestEarlyEnd leaves no goroutine and no fetch behind: a bubble would not end with
// one, and a fetch that outlived the range would be counted.
func TestEarlyEnd(t *testing.T) {
	t.Parallel()
	for name, leave := range map[string]func(t *testing.T, all iter.Seq2[string, error]){
		"break": func(t *testing.T, all iter.Seq2[string, error]) {
			for _, err := range all {
				require.NoError(t, err)
				break
			}
		},
		"panic": func(t *testing.T, all iter.Seq2[string, error]) {
			assert.Panics(t, func() {
				for _, err := range all {
					require.NoError(t, err)
					panic("enough")
				}
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l := &list{items: numbered(9)}
				running, canceled := 0, 0
				p := l.pager(3, true)
				p.Fetch = func(ctx context.Context, limit, offset int) ([]string, int, error) {
					running++
					defer func() { running-- }()
					if offset > 0 { // it is under way until it is told to end
						<-ctx.Done()
						canceled++
						time.Sleep(time.Second)
						return nil, 0, ctx.Err()
					}
					return l.fetch(ctx, limit, offset)
				}
				leave(t, p.All(t.Context()))
				assert.Zero(t, running, "a fetch outlived the range")
				assert.Equal(t, 1, canceled)
			})
		})
	}
}

// TestContextEnds hands the context to every fetch, and its error to the caller.
func TestContextEnds(t *testing.T) {
	t.Parallel()
	l := &list{items: numbered(9)}
	p := l.pager(3, true)
	p.Fetch = func(ctx context.Context, limit, offset int) ([]string, int, error) {
		if offset > 0 {
			<-ctx.Done()
			return nil, 0, ctx.Err()
		}
		return l.fetch(ctx, limit, offset)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var got []string
	var end error
	for item, err := range p.All(ctx) {
		if err != nil {
			end = err
			break
		}
		if got = append(got, item); len(got) == 3 {
			cancel()
		}
	}
	assert.Equal(t, numbered(3), got)
	assert.ErrorIs(t, end, context.Canceled)
}
