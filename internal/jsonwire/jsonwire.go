// Package jsonwire is the SDK's JSON codec: encoding/json, made fast for the
// handful of shapes that go over the wire.
//
// It decodes as encoding/json does, and can be replaced by it. Types and options that
// the wire does not use (floats, maps, embedded structs, the "string" option, text
// unmarshalers and so on) are left to encoding/json altogether. What differs is:
//
//   - Names of struct fields match exactly, not regardless of case (except in types
//     that are left to encoding/json).
//   - Decoding stops at the first error, and what has been decoded before it stays.
//     (encoding/json looks for syntax errors first and goes on after a value of
//     the wrong type.)
//   - Errors of [Unmarshal] and [Compact] never quote the input, which may be
//     personal data.
//   - Short strings and [Verbatim] values share memory with their neighbours: one
//     that is kept holds up to 1 KiB, or 4 KiB, of it.
package jsonwire

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"strconv"
	"sync"
)

// Unmarshal decodes data, one JSON value, into v, a non-nil pointer. If it cannot,
// the error is a [*DecodeError]. Nothing in *v refers to data afterwards, as long as
// its UnmarshalJSON methods copy what they keep.
func Unmarshal(data []byte, v any) error {
	rv := reflect.ValueOf(v)
	if rv.Kind() != reflect.Pointer || rv.IsNil() {
		return errors.New("jsonwire: Unmarshal needs a non-nil pointer")
	}
	d := decoders.Get().(*decoder)
	d.data, d.spare = data, len(data)
	d.space()
	ok := d.value(planOf(rv.Type().Elem()), rv.Elem(), 0) && d.end()
	err := d.err
	*d = decoder{} // what is pooled is memory, not the caller's strings
	decoders.Put(d)
	if !ok {
		return err
	}
	return nil
}

var decoders = sync.Pool{New: func() any { return new(decoder) }}

// Append appends the JSON of v to dst as encoding/json writes it, but with <, > and &
// as they are. If there is an error, it returns dst as it was.
func Append(dst []byte, v any) ([]byte, error) {
	b := bytes.NewBuffer(dst)
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return dst, err
	}
	b.Truncate(b.Len() - 1) // a line feed
	return b.Bytes(), nil
}

// AppendString appends the JSON of s to dst, as [Append] does.
func AppendString(dst []byte, s string) []byte {
	start := len(dst)
	dst = append(dst, '"')
	dst = append(dst, s...)
	if plainLen(dst[start+1:]) < len(s) {
		dst, _ = Append(dst[:start], s) // a string has no error
		return dst
	}
	return append(dst, '"')
}

// Compact appends src, one JSON value, to dst, without its insignificant white
// space. If src is not valid, it returns dst as it was, and an error.
func Compact(dst, src []byte) ([]byte, error) {
	s := scanner{data: src}
	s.space()
	if !s.skip(0) || !s.end() {
		return dst, s.err
	}
	if s.spaced {
		b := bytes.NewBuffer(dst)
		_ = json.Compact(b, src) // it is valid
		return b.Bytes(), nil
	}
	return append(dst, src...), nil
}

// A DecodeError says where JSON is not valid, or not what its place in a Go value
// asks for. It holds nothing of the input.
type DecodeError struct {
	Offset   int    // in bytes from the beginning
	Path     string // where in the Go value, such as "data[3].created_at"
	Expected string // such as "a string"
}

func (e *DecodeError) Error() string {
	if e == nil {
		return "<nil>"
	}
	where := e.Path
	if where != "" {
		where += ": "
	}
	return "jsonwire: " + where + "expected " + e.Expected + " at offset " + strconv.Itoa(e.Offset)
}

// TooDeep reports whether arrays and objects nest deeper than [Unmarshal] and
// [Compact] follow: 10,000 levels.
func (e *DecodeError) TooDeep() bool { return e != nil && e.Expected == lessNesting }

// within puts the name of a field, or an index in brackets, before the path.
func (e *DecodeError) within(parent string) {
	if e.Path != "" && e.Path[0] != '[' {
		parent += "."
	}
	e.Path = parent + e.Path
}
