package jsonwire

import (
	"encoding/binary"
	"encoding/json"
	"math/bits"
	"reflect"
	"strconv"
)

// A decoder decodes one document. As in the scanner, depth is the number of arrays
// and objects around a value.
type decoder struct {
	scanner
	spare   int    // how many bytes may still be allocated for elements yet to come
	scratch []byte // for strings that are not plain

	// interned holds strings that were decoded lately: in a list, most come again
	// with the next element.
	interned [1024]string
}

// value decodes a value into v.
func (d *decoder) value(p *plan, v reflect.Value, depth int) bool {
	if p.dec == opMethod || p.dec == opStd {
		return d.delegate(p, v, depth)
	}
	start := d.i
	c := d.at(start)
	if c == 'n' {
		if p.dec == opPointer || p.dec == opSlice {
			v.SetZero() // null leaves other kinds as they are
		}
		return d.literal("null")
	}
	switch p.dec {
	case opString:
		if !d.str() {
			return false
		}
		v.SetString(d.intern(d.text(start)))
		return true
	case opBool:
		if c != 't' && c != 'f' {
			return d.fail("true or false")
		}
		v.SetBool(c == 't')
		return d.literal(strconv.FormatBool(c == 't'))
	case opInt:
		if !d.number() {
			return false
		}
		n, err := strconv.ParseInt(string(d.data[start:d.i]), 10, p.typ.Bits())
		if err != nil {
			d.i = start
			return d.fail("a number that fits into " + p.typ.Kind().String())
		}
		v.SetInt(n)
		return true
	case opPointer:
		if v.IsNil() {
			v.Set(reflect.New(p.elem.typ))
		}
		return d.value(p.elem, v.Elem(), depth)
	case opSlice:
		return d.slice(p, v, depth+1)
	default:
		return d.object(p, v, depth+1)
	}
}

// delegate leaves a value to a method of its type, or to encoding/json.
func (d *decoder) delegate(p *plan, v reflect.Value, depth int) bool {
	start := d.i
	if !d.skip(depth) {
		return false
	}
	raw := d.data[start:d.i]
	var err error
	if p.dec == opMethod {
		err = v.Addr().Interface().(json.Unmarshaler).UnmarshalJSON(raw)
	} else {
		err = json.Unmarshal(raw, v.Addr().Interface())
	}
	if err != nil { // which may quote raw
		d.i = start
		return d.fail("a value for " + p.typ.String())
	}
	return true
}

func (d *decoder) object(p *plan, v reflect.Value, depth int) bool {
	guess := 0 // members mostly come in the order of the fields
	for more := d.open('{', depth); more; more = d.next('{') {
		f := d.name(p, guess)
		if d.err != nil || !d.colon() {
			return false
		}
		if f < 0 {
			if !d.skip(depth) {
				return false
			}
			continue
		}
		field := &p.fields[f]
		if !d.value(field.plan, v.Field(field.index), depth) {
			d.err.within(field.name)
			return false
		}
		guess = f + 1
	}
	return d.err == nil
}

// name returns the index of the field that is called like the member, -1 if there
// is none. The guess is worth a look before the name is even scanned.
func (d *decoder) name(p *plan, guess int) int {
	start := d.i
	if guess < len(p.fields) {
		name := p.fields[guess].name
		end := start + len(name) + 2
		if end <= len(d.data) && d.data[start] == '"' && d.data[end-1] == '"' && string(d.data[start+1:end-1]) == name {
			d.i = end
			return guess
		}
	}
	if d.str() {
		if f, ok := p.byName[string(d.text(start))]; ok {
			return f
		}
	}
	return -1
}

func (d *decoder) slice(p *plan, v reflect.Value, depth int) bool {
	n, start := 0, d.i
	for more := d.open('[', depth); more; more = d.next('[') {
		// Elements that are there already are decoded over, hidden ones included.
		if n >= v.Cap() {
			v.Grow(d.room(p.elem.typ, n, d.i-start))
		}
		if n >= v.Len() {
			v.SetLen(n + 1)
		}
		if !d.value(p.elem, v.Index(n), depth) {
			d.err.within("[" + strconv.Itoa(n) + "]")
			return false
		}
		n++
	}
	if d.err != nil {
		return false
	}
	if n == 0 {
		v.Set(reflect.MakeSlice(p.typ, 0, 0)) // not nil
	} else {
		v.SetLen(n)
	}
	return true
}

// room returns by how many elements to grow a slice of which n were read from read
// bytes. To guess too high is cheap, but must not be for sale: all guesses together
// allocate no more than the document is long.
func (d *decoder) room(elem reflect.Type, n, read int) int {
	if n == 0 || elem.Size() == 0 {
		return 1
	}
	size := int(elem.Size())
	guess := (len(d.data)-d.i)/(read/n) + 1
	guess = min(guess+guess/16, d.spare/size)
	d.spare -= guess * size
	return max(1, guess)
}

// text returns what the string stands for that was just read and began at start.
// It is valid until the next call.
func (d *decoder) text(start int) []byte {
	b := d.data[start+1 : d.i-1]
	if d.plain {
		return b
	}
	d.scratch = appendUnquoted(d.scratch[:0], b)
	return d.scratch
}

// intern returns a copy of b, if possible one that was made before.
func (d *decoder) intern(b []byte) string {
	n := len(b)
	if n == 0 || n > 256 {
		return string(b)
	}
	// Both ends are hash enough: a collision costs no more than an allocation.
	var head, tail uint64
	if n >= 8 {
		head, tail = binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[n-8:])
	} else {
		for _, c := range b {
			head = head<<8 | uint64(c)
		}
	}
	const golden = 0x9e3779b97f4a7c15 // spreads the bits to the top
	slot := &d.interned[(head^bits.RotateLeft64(tail, 29)^uint64(n))*golden>>54]
	if *slot != string(b) {
		*slot = string(b)
	}
	return *slot
}
