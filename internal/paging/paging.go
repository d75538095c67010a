// Package paging walks a list that is read in pages by offset, while it may grow
// and shrink underneath.
package paging

import (
	"context"
	"hash/maphash"
	"iter"
)

// Pager describes a list that is read in pages.
type Pager[T any] struct {
	// Limit is the size of a page.
	Limit int

	// NewestFirst tells that additions appear at the front. A page then continues
	// the one before it, whatever was added and removed in between, unless the total
	// became smaller, and then by no more than that. In other orders, and where no
	// total is told, pages overlap by one, and a page continues another if it holds
	// an item that was seen.
	NewestFirst bool

	// Fetch reads the page at an offset, and how many items the list holds in all;
	// 0 where the server does not tell.
	Fetch func(ctx context.Context, limit, offset int) (items []T, total int, err error)

	// ID is what an item is known by.
	ID func(*T) string
}

// page is one answer of Fetch.
type page[T any] struct {
	offset int
	items  []T
	total  int
	err    error
}

// All yields every item once that was in the list all along, and none twice. It
// fetches a page while the caller reads the one before it, and has stopped all
// work when it returns. An error ends it.
func (p Pager[T]) All(ctx context.Context) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		p := p
		if !p.NewestFirst {
			p.Limit = max(2, p.Limit) // room for the overlap
		}
		ctx, cancel := context.WithCancel(ctx)
		var pending chan page[T]
		defer func() {
			cancel()
			if pending != nil {
				<-pending
			}
		}()
		ahead := func(offset int) {
			pending = make(chan page[T], 1)
			go func(answer chan<- page[T]) { answer <- p.read(ctx, offset) }(pending)
		}

		seed := maphash.MakeSeed()
		seen := map[uint64]struct{}{} // hashes are a fraction of the ids; in a million, two are alike once in 10^7 walks
		var last page[T]
		ahead(0)
		for {
			got := <-pending
			pending = nil
			if got.err != nil {
				yield(none, got.err)
				return
			}
			fresh := got.items[:0:0]
			for i := range got.items {
				key := maphash.String(seed, p.ID(&got.items[i]))
				if _, known := seen[key]; !known {
					fresh = append(fresh, got.items[i])
				}
			}
			if back := p.gap(last, got, len(fresh) < len(got.items)); back > 0 {
				ahead(max(0, got.offset-back))
				continue
			}
			for i := range fresh {
				seen[maphash.String(seed, p.ID(&fresh[i]))] = struct{}{}
			}
			last = got
			more := got.more(p.Limit)
			if more {
				next := got.end()
				if !p.trusts(got) {
					if len(got.items) > 1 || p.Limit == 1 { // a server with pages of one leaves no room
						next--
					}
					p.Limit = max(2, p.Limit)
				}
				ahead(next)
			}
			for _, item := range fresh {
				if !yield(item, nil) {
					return
				}
			}
			if !more {
				return
			}
		}
	}
}

func (p Pager[T]) read(ctx context.Context, offset int) page[T] {
	items, total, err := p.Fetch(ctx, p.Limit, offset)
	return page[T]{offset: offset, items: items, total: total, err: err}
}

func (p page[T]) end() int { return p.offset + len(p.items) }

// more reports whether further items may follow. A total of less than was given
// already says nothing.
func (p page[T]) more(limit int) bool {
	return len(p.items) > 0 && (p.end() < p.total || (p.end() > p.total && len(p.items) >= limit))
}

// trusts reports whether the totals tell where the page after got begins.
func (p Pager[T]) trusts(got page[T]) bool {
	return p.NewestFirst && (got.total > 0 || len(got.items) == 0)
}

// gap is by how much got must be read again further to the front, because it may
// not continue last; 0 where it does.
func (p Pager[T]) gap(last, got page[T], overlaps bool) int {
	if got.offset == 0 {
		return 0
	}
	if p.trusts(last) && p.trusts(got) {
		safe := last.end() + min(0, got.total-last.total)
		return got.offset - safe
	}
	if overlaps || got.offset == last.end() {
		return 0
	}
	return p.Limit
}
