package bench

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// newLimit returns the floor with code of its own for each struct: about as fast as
// Go goes. It reads what Clerk sends and little else: members that it does not know
// are errors, and so is white space.
func newLimit(transport http.RoundTripper, base string) *plain {
	limit := newFloor(transport, base)
	limit.encode = func(params []floorParams) ([]byte, error) { return encodeLimit(params), nil }
	limit.decode = func(data []byte, list *floorList) error {
		d := limitDecoder{data: data}
		d.list(list)
		if d.broken || d.i != len(data) {
			return errors.New("not what the limit reads")
		}
		return nil
	}
	return limit
}

func encodeLimit(params []floorParams) []byte {
	b := make([]byte, 0, 512*len(params))
	text := func(name, value string) {
		if value != "" {
			b = append(append(append(append(b, name...), '"'), value...), '"')
		}
	}
	b = append(b, '[')
	for i := range params {
		p := &params[i]
		if i > 0 {
			b = append(b, ',')
		}
		text(`{"email_address":`, p.EmailAddress)
		text(`,"role":`, p.Role)
		text(`,"inviter_user_id":`, p.InviterUserID)
		text(`,"redirect_url":`, p.RedirectURL)
		if len(p.PublicMetadata) > 0 {
			b = append(append(b, `,"public_metadata":`...), p.PublicMetadata...)
		}
		if len(p.PrivateMetadata) > 0 {
			b = append(append(b, `,"private_metadata":`...), p.PrivateMetadata...)
		}
		if p.ExpiresInDays != 0 {
			b = strconv.AppendInt(append(b, `,"expires_in_days":`...), int64(p.ExpiresInDays), 10)
		}
		b = append(b, '}')
	}
	return append(b, ']')
}

type limitDecoder struct {
	data   []byte
	i      int
	broken bool
}

// take moves past a byte that has to be there.
func (d *limitDecoder) take(c byte) {
	if d.i >= len(d.data) || d.data[d.i] != c {
		d.broken = true
		return
	}
	d.i++
}

// more moves past what is between two members, or behind the last.
func (d *limitDecoder) more(end byte) bool {
	if d.broken || d.i >= len(d.data) {
		d.broken = true
		return false
	}
	c := d.data[d.i]
	d.i++
	d.broken = c != ',' && c != end
	return c == ','
}

func (d *limitDecoder) null() bool {
	if bytes.HasPrefix(d.data[d.i:], []byte("null")) {
		d.i += len("null")
		return true
	}
	return false
}

func (d *limitDecoder) quoted() []byte {
	d.take('"')
	n := bytes.IndexByte(d.data[d.i:], '"')
	if n < 0 {
		d.broken = true
		return nil
	}
	text := d.data[d.i : d.i+n]
	d.i += n + 1
	if bytes.IndexByte(text, '\\') >= 0 {
		d.broken = true // which Clerk's texts never hold
	}
	return text
}

// text returns a string, the one that the same member had before where it is equal.
func (d *limitDecoder) text(before string) string {
	if text := d.quoted(); string(text) != before {
		return string(text)
	}
	return before
}

func (d *limitDecoder) int() (n int64) {
	if d.null() {
		return 0
	}
	start := d.i
	for ; d.i < len(d.data) && d.data[d.i]-'0' <= 9; d.i++ {
		n = n*10 + int64(d.data[d.i]-'0')
	}
	d.broken = d.broken || d.i == start
	return n
}

func (d *limitDecoder) bool() bool {
	if bytes.HasPrefix(d.data[d.i:], []byte("true")) {
		d.i += len("true")
		return true
	}
	d.broken = d.broken || !bytes.HasPrefix(d.data[d.i:], []byte("false"))
	d.i += len("false")
	return false
}

func (d *limitDecoder) raw() json.RawMessage {
	start, depth := d.i, 0
	for d.i < len(d.data) {
		switch d.data[d.i] {
		case '"':
			d.quoted()
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				d.i++
				return append(json.RawMessage(nil), d.data[start:d.i]...)
			}
		}
		d.i++
	}
	d.broken = true
	return nil
}

func (d *limitDecoder) list(list *floorList) {
	d.take('{')
	for more := true; more; more = d.more('}') {
		name := d.quoted()
		d.take(':')
		switch string(name) {
		case "data":
			d.invitations(list)
		case "total_count":
			list.TotalCount = d.int()
		default:
			d.broken = true
		}
	}
}

func (d *limitDecoder) invitations(list *floorList) {
	d.take('[')
	begin := d.i
	var before floorInvitation
	var person floorInviter
	for more := true; more; more = d.more(']') {
		if len(list.Data) == 1 {
			list.Data = append(make([]floorInvitation, 0, len(d.data)/(d.i-begin)+1), list.Data...)
		}
		list.Data = append(list.Data, floorInvitation{})
		v := &list.Data[len(list.Data)-1]
		d.invitation(v, &before, &person)
		before = *v
	}
}

func (d *limitDecoder) invitation(v, before *floorInvitation, person *floorInviter) {
	d.take('{')
	for more := true; more; more = d.more('}') {
		name := d.quoted()
		d.take(':')
		switch string(name) {
		case "object":
			v.Object = d.text(before.Object)
		case "id":
			v.ID = string(d.quoted())
		case "email_address":
			v.EmailAddress = string(d.quoted())
		case "role":
			v.Role = d.text(before.Role)
		case "role_name":
			v.RoleName = d.text(before.RoleName)
		case "organization_id":
			v.OrganizationID = d.text(before.OrganizationID)
		case "inviter_id":
			v.InviterID = d.text(before.InviterID)
		case "public_inviter_data":
			if !d.null() {
				v.PublicInviterData = new(floorInviter)
				d.inviter(v.PublicInviterData, person)
				*person = *v.PublicInviterData
			}
		case "status":
			v.Status = d.text(before.Status)
		case "public_metadata":
			v.PublicMetadata = d.raw()
		case "private_metadata":
			v.PrivateMetadata = d.raw()
		case "url":
			v.URL = string(d.quoted())
		case "expires_at":
			v.ExpiresAt = d.int()
		case "created_at":
			v.CreatedAt = d.int()
		case "updated_at":
			v.UpdatedAt = d.int()
		default:
			d.broken = true
		}
	}
}

func (d *limitDecoder) inviter(v, before *floorInviter) {
	d.take('{')
	for more := true; more; more = d.more('}') {
		name := d.quoted()
		d.take(':')
		switch string(name) {
		case "user_id":
			v.UserID = d.text(before.UserID)
		case "first_name":
			v.FirstName = d.text(before.FirstName)
		case "last_name":
			v.LastName = d.text(before.LastName)
		case "image_url":
			v.ImageURL = d.text(before.ImageURL)
		case "has_image":
			v.HasImage = d.bool()
		case "identifier":
			v.Identifier = d.text(before.Identifier)
		default:
			d.broken = true
		}
	}
}

func TestLimitDecodes(t *testing.T) {
	t.Parallel()
	for _, answer := range [][]byte{bulkAnswer(), listAnswer()} {
		var want, got floorList
		require.NoError(t, json.Unmarshal(answer, &want))
		require.NoError(t, newLimit(nil, "").decode(answer, &got))
		require.Equal(t, want, got)
	}
}
