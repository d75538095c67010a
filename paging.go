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
	// became smaller, and then by no more than that. In other orders pages overlap
	// by one, and a page continues another if it holds something that was seen.
	newestFirst bool

	fetch func(ctx context.Context, limit, offset int) ([]T, int64, error)
	id    func(*T) string
}

// all yields everything once. It fetches a page while the one before it is read,
// and has stopped all work when it returns.
func (p pager[T]) all(ctx context.Context) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
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
			end := got.offset + len(got.data)
			more := len(got.data) > 0 && (int64(end) < got.total || (got.total <= 0 && len(got.data) >= p.limit))
			if more {
				if !p.newestFirst {
					end--
				}
				ahead(end)
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

// gap is by how much got must be read again further to the front, because it may
// not continue last; 0 where it does.
func (p pager[T]) gap(last, got page[T], overlaps bool) int {
	switch {
	case got.offset == 0:
		return 0
	case p.newestFirst:
		end := last.offset + len(last.data)
		safe := end + int(min(0, got.total-last.total))
		return got.offset - safe
	case overlaps:
		return 0
	default:
		return p.limit
	}
}
