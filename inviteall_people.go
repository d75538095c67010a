package clerkorg

import (
	"encoding/binary"
	"hash/maphash"
	"time"
)

// personKey stands for an address: 64 bits of hash are a fraction of what addresses
// take, and that two of a million are alike happens once in forty million runs. As
// halves they keep an entry at twelve bytes.
type personKey [2]uint32

// people is what a run remembers: one small entry for every address.
type people struct {
	seed maphash.Seed

	// entries holds, of each address, the index of the first input with it, or, below
	// zero, the complement of the index in pending of its invitation. Memory ends before
	// 31 bits do.
	entries [4]map[personKey]int32 // see entriesOf
	pending pendingInvitations
}

func newPeople() people {
	p := people{seed: maphash.MakeSeed()}
	for i := range p.entries {
		p.entries[i] = map[personKey]int32{}
	}
	return p
}

// entriesOf returns the map that a key belongs to. A map doubles when it is full, and is
// then half empty. Of four whose shares are a quarter of an octave apart, one is full
// while another is half empty: together they take the same for each person at any size.
func (p *people) entriesOf(key personKey) map[personKey]int32 {
	switch share := key[0] % 256; {
	case share < 48:
		return p.entries[0]
	case share < 106:
		return p.entries[1]
	case share < 174:
		return p.entries[2]
	default:
		return p.entries[3]
	}
}

func (p *people) key(address string) personKey {
	hash := maphash.String(p.seed, AddressKey(address))
	return personKey{uint32(hash), uint32(hash >> 32)} //nolint:gosec // cut in halves
}

// claim makes an input the first with its address, unless another input is, whose
// index it returns. Where the server had an invitation of the address, it returns
// that too.
func (p *people) claim(key personKey, index int) (first int, pending *OrganizationInvitation) {
	entries := p.entriesOf(key)
	entry, known := entries[key]
	if known && entry >= 0 {
		return int(entry), nil
	}
	entries[key] = int32(index) //nolint:gosec // see entries
	if known {
		return index, p.pending.take(int(^entry))
	}
	return index, nil
}

// remember notes that the server has an invitation. Of several the first told,
// which is the newest, is kept.
func (p *people) remember(invitation *OrganizationInvitation) {
	key := p.key(invitation.EmailAddress)
	entries := p.entriesOf(key)
	if _, known := entries[key]; !known {
		entries[key] = ^int32(p.pending.add(invitation)) //nolint:gosec // see entries
	}
}

// maxWhole is how many bytes of invitations are kept whole. Of others a run keeps
// what tells when they were made and by what id they are found.
const maxWhole = 16 << 20

// pendingInvitations keeps the invitations that the server had, to be given back.
type pendingInvitations struct {
	whole []*OrganizationInvitation // the first ones
	size  int                       // of whole, in bytes, about

	brief []briefInvitation // the others
	ids   []byte            // of brief, one after the other

	names map[string]uint8 // index in texts of a role, a status or an organization id
	texts []string         // at most 256
}

// briefInvitation is what is kept of one of very many invitations.
type briefInvitation struct {
	id               int   // where its id begins in ids; its length stands there first
	created, expires int64 // milliseconds
	role, status     uint8 // in texts
	organization     uint8
}

// add keeps an invitation and returns its index.
func (p *pendingInvitations) add(invitation *OrganizationInvitation) int {
	size := 600 + len(invitation.PublicMetadata) + len(invitation.PrivateMetadata) + len(invitation.URL)
	if len(p.brief) == 0 && p.size+size <= maxWhole {
		p.size += size
		p.whole = append(p.whole, invitation)
		return len(p.whole) - 1
	}
	p.brief = append(p.brief, briefInvitation{
		id:           len(p.ids),
		created:      milliseconds(invitation.CreatedAt),
		expires:      milliseconds(invitation.ExpiresAt),
		role:         p.text(string(invitation.Role)),
		status:       p.text(string(invitation.Status)),
		organization: p.text(invitation.OrganizationID),
	})
	p.ids = binary.AppendUvarint(p.ids, uint64(len(invitation.ID)))
	p.ids = append(p.ids, invitation.ID...)
	return p.len() - 1
}

// len returns how many there were.
func (p *pendingInvitations) len() int { return len(p.whole) + len(p.brief) }

// take returns the invitation at an index. It is asked for once.
func (p *pendingInvitations) take(index int) *OrganizationInvitation {
	if index < len(p.whole) {
		invitation := p.whole[index]
		p.whole[index] = nil
		return invitation
	}
	brief := p.brief[index-len(p.whole)]
	n, width := binary.Uvarint(p.ids[brief.id:])
	id := p.ids[brief.id+width:][:n]
	return &OrganizationInvitation{
		Object:         "organization_invitation",
		ID:             string(id),
		Role:           Role(p.texts[brief.role]),
		Status:         InvitationStatus(p.texts[brief.status]),
		OrganizationID: p.texts[brief.organization],
		CreatedAt:      timestamp(brief.created),
		ExpiresAt:      timestamp(brief.expires),
	}
}

// text returns the index of a text that many invitations share; index 0 is "", also
// for what is beyond the 255 different ones that are kept.
func (p *pendingInvitations) text(s string) uint8 {
	if p.names == nil {
		p.names, p.texts = map[string]uint8{"": 0}, []string{""}
	}
	if i, known := p.names[s]; known || len(p.texts) > 255 {
		return i
	}
	i := uint8(len(p.texts)) //nolint:gosec // at most 255
	p.names[s] = i
	p.texts = append(p.texts, s)
	return i
}

func milliseconds(t Timestamp) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func timestamp(milliseconds int64) Timestamp {
	if milliseconds == 0 {
		return Timestamp{}
	}
	return Timestamp{time.UnixMilli(milliseconds).UTC()}
}
