package jsonwire

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"math/bits"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// A decoder decodes one document. As in the scanner, depth is the number of arrays
// and objects around a value.
type decoder struct {
	scanner
	spare   int    // how many bytes may still be allocated for elements yet to come
	scratch []byte // for strings that are not plain

	// What is small is cut from pieces of memory that hold many.
	strings  strings.Builder
	verbatim []byte
	slabs    [4]slab

	// interned holds strings that were decoded lately: in a list, most come again
	// with the next element.
	interned [128]string
}

// The sizes of the pieces. A string that is kept holds all of its piece in memory.
const (
	stringPiece   = 1 << 10
	verbatimPiece = 4 << 10
	slabPiece     = 2 << 10
)

// value decodes a value into v.
func (d *decoder) value(p *plan, v reflect.Value, depth int) bool {
	start := d.i
	c := d.at(start)
	if c == 'n' && p.op >= opVerbatim {
		if p.op == opVerbatim || p.op == opPointer || p.op == opSlice {
			v.SetZero() // null leaves other kinds as they are
		}
		return d.literal("null")
	}
	switch p.op {
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
	case opInteger:
		if n, ok := d.integer(); ok {
			p.set(v.Addr().Interface(), n)
			return true
		}
		return d.delegate(p, v, depth)
	case opVerbatim:
		if !d.skip(depth) {
			return false
		}
		v.SetBytes(d.keep(d.data[start:d.i]))
		return true
	case opStruct:
		return d.object(p, v, depth+1)
	case opPointer:
		if v.IsNil() {
			v.Set(d.newValue(p.elem))
		}
		return d.value(p.elem, v.Elem(), depth)
	case opSlice:
		return d.slice(p, v, depth+1)
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
	default:
		return d.delegate(p, v, depth)
	}
}

// delegate leaves a value to a method of its type, or to encoding/json.
func (d *decoder) delegate(p *plan, v reflect.Value, depth int) bool {
	start := d.i
	if !d.skip(depth) {
		return false
	}
	var err error
	if p.op == opStd {
		err = json.Unmarshal(d.data[start:d.i], v.Addr().Interface())
	} else {
		err = v.Addr().Interface().(json.Unmarshaler).UnmarshalJSON(d.data[start:d.i])
	}
	if err != nil { // which may quote the value
		d.i = start
		return d.fail("a value for " + p.typ.String())
	}
	return true
}

func (d *decoder) object(p *plan, v reflect.Value, depth int) bool {
	f := -1
	for more := d.open('{', depth); more; more = d.next('{') {
		// Members mostly come in the order of the fields.
		if f++; f < len(p.fields) && d.exactly(p.fields[f].prefix) {
			d.space()
		} else if f = d.name(p, f+1); f < 0 {
			if d.err != nil || !d.skip(depth) {
				return false
			}
			continue
		}
		field := &p.fields[f]
		if !d.value(field.plan, v.Field(field.index), depth) {
			d.err.within(field.name)
			return false
		}
	}
	return d.err == nil
}

// name moves past the name of a member and its colon, and returns the index of the
// field that is called like it, -1 if there is none. The guess is worth a look before
// the name is even scanned.
func (d *decoder) name(p *plan, guess int) int {
	if guess < len(p.fields) && d.exactly(p.fields[guess].prefix) {
		d.space()
		return guess
	}
	start := d.i
	if !d.str() {
		return -1
	}
	name := d.text(start)
	if !d.colon() {
		return -1
	}
	return slices.IndexFunc(p.fields, func(f field) bool { return f.name == string(name) })
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

// A slab holds values of one type to point to.
type slab struct {
	plan   *plan
	values reflect.Value // a slice
	used   int
}

// newValue returns a pointer to a zero value. Where many of a type are asked for, it
// is part of a slab, each of which is larger than the one before.
func (d *decoder) newValue(p *plan) reflect.Value {
	for i := range d.slabs {
		s := &d.slabs[i]
		if s.plan == nil {
			s.plan = p // the first of its type has memory of its own
			break
		}
		if s.plan != p || p.typ.Size() == 0 {
			continue
		}
		if !s.values.IsValid() || s.used == s.values.Len() {
			n := min(2*s.used+3, max(1, slabPiece/int(p.typ.Size())))
			s.values, s.used = reflect.MakeSlice(reflect.SliceOf(p.typ), n, n), 0
		}
		s.used++
		return s.values.Index(s.used - 1).Addr()
	}
	return reflect.New(p.typ)
}

// integer moves past a number that is whole and short, the usual one.
func (d *decoder) integer() (n int64, ok bool) {
	rest := d.data[d.i:]
	negative := len(rest) > 0 && rest[0] == '-'
	if negative {
		rest = rest[1:]
	}
	digits := 0
	for digits < len(rest) && isDigit(rest[digits]) {
		n = 10*n + int64(rest[digits]-'0')
		digits++
	}
	end := len(d.data) - len(rest) + digits
	if c := d.at(end); digits == 0 || digits > 18 || digits > 1 && rest[0] == '0' || c == '.' || c|0x20 == 'e' {
		return 0, false
	}
	if negative {
		n = -n
	}
	d.i = end
	return n, true
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
	if n == 0 || n > stringPiece/4 {
		return string(b)
	}
	// Both ends are hash enough: a collision costs no more than another copy.
	var head, tail uint64
	if n >= 8 {
		head, tail = binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[n-8:])
	} else {
		for _, c := range b {
			head = head<<8 | uint64(c)
		}
	}
	const golden = 0x9e3779b97f4a7c15 // spreads the bits to the top
	slot := &d.interned[(head^bits.RotateLeft64(tail, 29)^uint64(n))*golden>>57]
	if *slot != string(b) {
		if d.strings.Cap()-d.strings.Len() < n {
			d.strings.Reset()
			d.strings.Grow(max(n, min(stringPiece, len(d.data)/2)))
		}
		at := d.strings.Len()
		d.strings.Write(b)
		*slot = d.strings.String()[at:]
	}
	return *slot
}

// keep returns a copy of b.
func (d *decoder) keep(b []byte) []byte {
	n := len(b)
	if n > verbatimPiece/4 {
		return bytes.Clone(b)
	}
	if cap(d.verbatim)-len(d.verbatim) < n {
		d.verbatim = make([]byte, 0, max(n, min(verbatimPiece, len(d.data)/2)))
	}
	at := len(d.verbatim)
	d.verbatim = append(d.verbatim, b...)
	return d.verbatim[at:len(d.verbatim):len(d.verbatim)]
}
