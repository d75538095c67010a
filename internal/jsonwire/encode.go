package jsonwire

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strconv"
)

// maxOwnDepth is how deep values may nest before they are left to encoding/json,
// which finds out whether they contain themselves.
const maxOwnDepth = 1000

func appendValue(dst []byte, p *plan, v reflect.Value, depth int) ([]byte, error) {
	switch p.enc {
	case opString:
		return appendString(dst, v.String())
	case opBool:
		return strconv.AppendBool(dst, v.Bool()), nil
	case opInt:
		return strconv.AppendInt(dst, v.Int(), 10), nil
	case opMethod:
		return appendMethod(dst, p, v)
	case opStruct:
		return appendStruct(dst, p, v, depth+1)
	case opStd:
		return appendStd(dst, v)
	}
	// What is left can be nil.
	if v.IsNil() {
		return append(dst, "null"...), nil
	}
	if depth > maxOwnDepth {
		return appendStd(dst, v)
	}
	switch p.enc {
	case opRaw:
		return append(dst, v.Bytes()...), nil
	case opPointer:
		return appendValue(dst, p.elem, v.Elem(), depth+1)
	case opAny:
		v = v.Elem()
		return appendValue(dst, planOf(v.Type()), v, depth+1)
	default:
		return appendSlice(dst, p, v, depth+1)
	}
}

func appendSlice(dst []byte, p *plan, v reflect.Value, depth int) ([]byte, error) {
	dst = append(dst, '[')
	var err error
	for i := range v.Len() {
		if i > 0 {
			dst = append(dst, ',')
		}
		if dst, err = appendValue(dst, p.elem, v.Index(i), depth); err != nil {
			return nil, err
		}
	}
	return append(dst, ']'), nil
}

func appendStruct(dst []byte, p *plan, v reflect.Value, depth int) ([]byte, error) {
	next := byte('{')
	var err error
	for i := range p.fields {
		f := &p.fields[i]
		fv := v.Field(f.index)
		if f.omitEmpty && isEmpty(fv) || f.omitZero && fv.IsZero() {
			continue
		}
		dst = append(dst, next)
		dst = append(dst, f.prefix...)
		if dst, err = appendValue(dst, f.plan, fv, depth); err != nil {
			return nil, err
		}
		next = ','
	}
	if next == '{' {
		dst = append(dst, '{')
	}
	return append(dst, '}'), nil
}

// isEmpty reports whether omitempty omits v.
func isEmpty(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Array, reflect.Map, reflect.Slice:
		return v.Len() == 0
	case reflect.Struct, reflect.Chan, reflect.Func, reflect.Complex64, reflect.Complex128:
		return false
	}
	return v.IsZero()
}

// appendMethod appends what the MarshalJSON method of v returns.
func appendMethod(dst []byte, p *plan, v reflect.Value) ([]byte, error) {
	if v.CanAddr() {
		v = v.Addr() // which has all methods, and is cheaper to make an interface of
	}
	m, ok := v.Interface().(json.Marshaler)
	if !ok {
		return appendStd(dst, v) // only pointers have the method
	}
	b, err := m.MarshalJSON()
	if err == nil {
		dst, err = Compact(dst, b)
	}
	if err != nil {
		return nil, &json.MarshalerError{Type: p.typ, Err: err}
	}
	return dst, nil
}

// appendStd appends the JSON of v as encoding/json writes it.
func appendStd(dst []byte, v reflect.Value) ([]byte, error) {
	if v.CanAddr() {
		v = v.Addr() // which has all methods
	}
	b := bytes.NewBuffer(dst)
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v.Interface()); err != nil {
		return nil, err
	}
	b.Truncate(b.Len() - 1) // a line feed
	return b.Bytes(), nil
}

func appendString(dst []byte, s string) ([]byte, error) {
	start := len(dst)
	dst = append(dst, '"')
	dst = append(dst, s...)
	if plainLen(dst[start+1:]) < len(s) {
		return appendStd(dst[:start], reflect.ValueOf(s))
	}
	return append(dst, '"'), nil
}
