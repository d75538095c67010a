package clerkorg

import (
	"context"
	"hash/maphash"
	"iter"
)

// page is one answer to a list call.
type page[T any] struct {
	offset int
	data   []T
	total  int64
	err    error
}

// pager walks a list that is read in pages by offset, while it may grow and
// shrink underneath.
type pager[T any] struct {
	limit int

	// newestFirst: what is added appears at the front. A page then continues the
	// one before it, whatever was added and removed in between, unless the total
	// became smaller, and then by no more than that. In other orders, and where no
	// total is told, pages overlap by one, and a page continues another if it holds
	// something that was seen.
	newestFirst bool

	fetch func(ctx context.Context, limit, offset int) ([]T, int64, error)
	id    func(*T) string
}

// all yields everything once. It fetches a page while the one before it is read,
// and has stopped all work when it returns.
func (p pager[T]) all(ctx context.Context) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		p := p
		if !p.newestFirst {
			p.limit = max(2, p.limit) // room for the overlap
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
			fresh := got.data[:0:0]
			for i := range got.data {
				key := maphash.String(seed, p.id(&got.data[i]))
				if _, known := seen[key]; !known {
					fresh = append(fresh, got.data[i])
				}
			}
			if back := p.gap(last, got, len(fresh) < len(got.data)); back > 0 {
				ahead(max(0, got.offset-back))
				continue
			}
			for i := range fresh {
				seen[maphash.String(seed, p.id(&fresh[i]))] = struct{}{}
			}
			last = got
			more := got.more(p.limit)
			if more {
				next := got.end()
				if !p.trusts(got) {
					if len(got.data) > 1 || p.limit == 1 { // a server with pages of one leaves no room
						next--
					}
					p.limit = max(2, p.limit)
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

func (p pager[T]) read(ctx context.Context, offset int) page[T] {
	data, total, err := p.fetch(ctx, p.limit, offset)
	return page[T]{offset: offset, data: data, total: total, err: err}
}

func (p page[T]) end() int { return p.offset + len(p.data) }

// more reports whether something may follow. A total of less than was given
// already says nothing.
func (p page[T]) more(limit int) bool {
	total, end := p.total, int64(p.end())
	return len(p.data) > 0 && (end < total || (end > total && len(p.data) >= limit))
}

// trusts reports whether the totals tell where the page after got begins.
func (p pager[T]) trusts(got page[T]) bool {
	return p.newestFirst && (got.total > 0 || len(got.data) == 0)
}

// gap is by how much got must be read again further to the front, because it may
// not continue last; 0 where it does.
func (p pager[T]) gap(last, got page[T], overlaps bool) int {
	switch {
	case got.offset == 0:
		return 0
	case p.trusts(last) && p.trusts(got):
		safe := last.end() + int(min(0, got.total-last.total))
		return got.offset - safe
	case overlaps, got.offset == last.end():
		return 0
	default:
		return p.limit
	}
}
