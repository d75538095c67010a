package clerkorg

import "slices"

// backlog holds the rows that wait to be sent, and decides which of them go into
// the next call. It knows no context, clock, client or quota.
//
// A refused batch that names no address holds a bad row. Its rows go alone, where
// single calls are to be had. Otherwise the batch becomes a group, which is halved:
// one half is sent. Where it is refused, the other half is likely good and waits to
// be packed with others like it; where it is accepted, the other half is known to
// hold the bad row. Each halving so costs one call, and half of these create
// invitations.
type backlog struct {
	bulkOnly  bool // no row goes through the single lane
	maxSingle int  // rows of refused batches that may wait for the single lane

	fresh  []*row // new, or sent without an answer
	likely []*row // of refused batches, but likely not the reason
	single []*row // each to be sent alone
	groups []group

	// batchSize is how many rows a batch holds. It shrinks where the organization has
	// no room for so many; 0 closes the bulk lane.
	batchSize int
}

// group is the rest of a refused batch: one of its rows is bad.
type group struct {
	rows    []*row
	refusal *APIError // what refused a call with these rows
}

// batch is what one call carries.
type batch struct {
	rows  []*row
	group *group // the group of which rows are a part, nil where they are of none
	rest  []*row // the part that is not sent
}

// rowQueue names one of the queues of a backlog.
type rowQueue uint8

const (
	queueFresh rowQueue = iota
	queueLikely
	queueSingle
)

func newBacklog(bulkOnly bool, maxSingle int) *backlog {
	return &backlog{bulkOnly: bulkOnly, maxSingle: maxSingle, batchSize: MaxBulkInvitations}
}

func (b *backlog) at(q rowQueue) *[]*row {
	switch q {
	case queueLikely:
		return &b.likely
	case queueSingle:
		return &b.single
	default:
		return &b.fresh
	}
}

// add puts rows at the end of a queue.
func (b *backlog) add(q rowQueue, rows ...*row) {
	for _, in := range rows {
		in.home = q
	}
	*b.at(q) = append(*b.at(q), rows...)
}

// addFront puts rows back to the front of the queues from which they came.
func (b *backlog) addFront(rows ...*row) {
	for _, in := range slices.Backward(rows) {
		home := b.at(in.home)
		*home = slices.Insert(*home, 0, in)
	}
}

// next is what the next bulk call carries, nil where it has to wait. While more
// rows are to come, it waits for a full batch. Rows that are likely good stay among
// themselves, so that fewer batches with a bad one are refused.
func (b *backlog) next(more bool) *batch {
	if b.batchSize == 0 {
		return nil
	}
	if b.bulkOnly && len(b.single) > 0 {
		return &batch{rows: b.take(queueSingle, 1)}
	}
	if len(b.groups) > 0 {
		return b.nextOfGroup(b.batchSize)
	}
	if len(b.likely) >= b.batchSize {
		return &batch{rows: b.take(queueLikely, b.batchSize)}
	}
	waiting := len(b.likely) + len(b.fresh)
	if waiting == 0 || more && waiting < b.batchSize {
		return nil
	}
	rows := b.take(queueLikely, max(0, b.batchSize-len(b.fresh))) // they fill up the last batch
	return &batch{rows: append(rows, b.take(queueFresh, b.batchSize)...)}
}

// nextSingle is what the next single call carries, nil where nothing waits. It
// prefers rows that no batch can carry.
func (b *backlog) nextSingle() *batch {
	if len(b.single) > 0 {
		return &batch{rows: b.take(queueSingle, 1)}
	}
	if len(b.groups) > 0 {
		return b.nextOfGroup(1)
	}
	if len(b.fresh) > 0 {
		return &batch{rows: b.take(queueFresh, 1)}
	}
	if len(b.likely) > 0 {
		return &batch{rows: b.take(queueLikely, 1)}
	}
	return nil
}

// nextOfGroup is a half of the newest group, but at most so many of its rows.
func (b *backlog) nextOfGroup(most int) *batch {
	last := len(b.groups) - 1
	g := b.groups[last]
	b.groups = b.groups[:last]
	n := min(max(1, len(g.rows)/2), most)
	return &batch{rows: g.rows[:n:n], group: &g, rest: g.rows[n:]}
}

// take cuts the first n rows off a queue, or all if there are fewer.
func (b *backlog) take(q rowQueue, n int) []*row {
	home := b.at(q)
	n = min(n, len(*home))
	taken := (*home)[:n:n]
	*home = (*home)[n:]
	return taken
}

// putBack restores what was before a batch of which nothing was sent.
func (b *backlog) putBack(sent *batch) {
	if sent.group != nil {
		b.groups = append(b.groups, *sent.group)
		return
	}
	b.addFront(sent.rows...)
}

// created notes that every row of a batch has its invitation. Where the batch was
// a part of a group, the rest holds the bad row; a rest of one row is that row, and
// returned: it is bad for the reason of the group's refusal.
func (b *backlog) created(sent *batch) (bad *row, refusal *APIError) {
	if sent.group == nil {
		return nil, nil
	}
	if len(sent.rest) == 1 && aboutOneRow(sent.group.refusal) {
		return sent.rest[0], sent.group.refusal
	}
	b.addGroup(sent.rest, sent.group.refusal)
	return nil, nil
}

// refused notes that a batch was refused, and which of its rows were neither
// created nor named by the refusal. Where rows were named, the others are likely
// good.
func (b *backlog) refused(sent *batch, others []*row, named bool, refusal *APIError) {
	b.add(queueLikely, sent.rest...)
	if named {
		b.add(queueLikely, others...)
		return
	}
	if !b.bulkOnly && (b.batchSize == 0 || len(b.single)+len(others) <= b.maxSingle) {
		b.add(queueSingle, others...)
		return
	}
	b.addGroup(others, refusal)
}

// addGroup keeps rows of which one is bad; a single one goes alone.
func (b *backlog) addGroup(rows []*row, refusal *APIError) {
	if len(rows) <= 1 {
		b.add(queueSingle, rows...)
		return
	}
	b.groups = append(b.groups, group{rows: rows, refusal: refusal})
}

// again puts rows of a batch back whose call said nothing about them: at the end
// of their queues where others are to take their turn, and otherwise at the front.
// Where they are all that the call has not created, a group is one as before.
func (b *backlog) again(sent *batch, rows []*row, all, atEnd bool) {
	if sent.group != nil && all {
		b.addGroup(append(slices.Clone(rows), sent.rest...), sent.group.refusal)
		return
	}
	if atEnd {
		for _, in := range rows {
			b.add(in.home, in)
		}
	} else {
		b.addFront(rows...)
	}
	b.add(queueLikely, sent.rest...)
}

// noRoom notes that the organization has no room for a batch of so many rows, and
// keeps them. Fewer may fit: smaller batches, or single rows.
func (b *backlog) noRoom(sent *batch, rows []*row) {
	if b.bulkOnly {
		b.batchSize = max(1, min(b.batchSize, len(sent.rows)/2))
	} else {
		b.batchSize = 0
	}
	b.add(queueLikely, sent.rest...)
	b.addFront(rows...)
}

// remove takes the rows for which bad is true out of every queue, and returns them.
func (b *backlog) remove(bad func(*row) bool) (removed []*row) {
	keep := func(rows []*row) []*row {
		kept := make([]*row, 0, len(rows))
		for _, in := range rows {
			if bad(in) {
				removed = append(removed, in)
			} else {
				kept = append(kept, in)
			}
		}
		return kept
	}
	for _, q := range []rowQueue{queueFresh, queueLikely, queueSingle} {
		*b.at(q) = keep(*b.at(q))
	}
	groups := b.groups
	b.groups = nil
	for _, g := range groups {
		if rows := keep(g.rows); len(rows) == len(g.rows) {
			b.addGroup(rows, g.refusal)
		} else { // what is left may be good
			b.add(queueLikely, rows...)
		}
	}
	return removed
}

// aboutOneRow reports whether a refusal is about what one row holds, whichever
// rows are beside it.
func aboutOneRow(refusal *APIError) bool {
	switch refusal.Code() {
	case CodeNotAllowedAccess, CodeParamFormatInvalid, CodeParamValueInvalid, CodeParamMissing,
		CodeParamNil, CodeParamTooLong, CodeParamTypeInvalid, CodeParamUnknown:
		return true
	}
	return false
}
