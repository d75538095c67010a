package jsonwire

import (
	"encoding"
	"encoding/json"
	"reflect"
	"strings"
	"sync"
)

// A plan is what there is to know about a Go type before any value of it is seen.
// It does not change once it is in plans.
type plan struct {
	typ    reflect.Type
	op     op
	elem   *plan                // of a pointer or slice
	fields []field              // of a struct
	set    func(p any, n int64) // of an integer
}

// An op says how a type is decoded.
type op uint8

const (
	opStd      op = iota // by encoding/json
	opMethod             // by its own UnmarshalJSON
	opInteger            // the same, but for integers
	opVerbatim           // by keeping its JSON
	opString
	opBool
	opInt
	opStruct
	opPointer
	opSlice
)

type field struct {
	plan   *plan
	index  int
	name   string
	prefix string // `"name":`
}

// special holds the plans of the types that Verbatim and Integer have named.
var special = map[reflect.Type]plan{}

// Verbatim promises that the UnmarshalJSON method of *T keeps a copy of its input, or
// nil for null. It is called by init functions only.
func Verbatim[T ~[]byte]() { special[reflect.TypeFor[T]()] = plan{op: opVerbatim} }

// Integer promises that the UnmarshalJSON method of *T reads whole numbers as set
// does. It is called by init functions only.
func Integer[T any](set func(*T, int64)) {
	special[reflect.TypeFor[T]()] = plan{op: opInteger, set: func(p any, n int64) { set(p.(*T), n) }}
}

var (
	unmarshalerType     = reflect.TypeFor[json.Unmarshaler]()
	textUnmarshalerType = reflect.TypeFor[encoding.TextUnmarshaler]()
	numberType          = reflect.TypeFor[json.Number]()
)

var plans sync.Map // of reflect.Type to *plan

func planOf(t reflect.Type) *plan {
	if p, ok := plans.Load(t); ok {
		return p.(*plan)
	}
	// Types may refer to each other, so none is published before all are complete.
	b := planner{}
	p := b.plan(t)
	for t, p := range b {
		plans.Store(t, p)
	}
	return p
}

// A planner holds plans that may not be complete yet.
type planner map[reflect.Type]*plan

func (b planner) plan(t reflect.Type) *plan {
	if p := b[t]; p != nil {
		return p
	}
	p := new(special[t])
	p.typ = t
	b[t] = p
	methods := reflect.PointerTo(t)
	switch {
	case p.op != opStd:
	case methods.Implements(unmarshalerType):
		p.op = opMethod
	case !methods.Implements(textUnmarshalerType):
		p.op = b.shape(t, p)
	}
	return p
}

// shape returns the op that suits the kind of t, and fills in elem and fields.
func (b planner) shape(t reflect.Type, p *plan) op {
	switch t.Kind() {
	case reflect.String:
		if t != numberType {
			return opString
		}
	case reflect.Bool:
		return opBool
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return opInt
	case reflect.Pointer:
		p.elem = b.plan(t.Elem())
		return opPointer
	case reflect.Slice:
		if t.Elem().Kind() != reflect.Uint8 { // those are base64
			p.elem = b.plan(t.Elem())
			return opSlice
		}
	case reflect.Struct:
		if b.structFields(t, p) {
			return opStruct
		}
	}
	return opStd
}

// structFields fills in the fields. It reports false if there is something about
// them that is better left to encoding/json.
func (b planner) structFields(t reflect.Type, p *plan) bool {
	known := make(map[string]bool)
	for i := range t.NumField() {
		sf := t.Field(i)
		tag := sf.Tag.Get("json")
		if tag == "-" || !sf.IsExported() && !sf.Anonymous {
			continue
		}
		name, options, _ := strings.Cut(tag, ",")
		if name == "" {
			name = sf.Name
		}
		if known[name] || sf.Anonymous || strings.ContainsFunc(name, unusual) || strings.Contains(options, "string") {
			return false
		}
		known[name] = true
		p.fields = append(p.fields, field{plan: b.plan(sf.Type), index: i, name: name, prefix: `"` + name + `":`})
	}
	return true
}

// unusual reports whether c makes encoding/json think twice about a name.
func unusual(c rune) bool {
	return !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c == '-')
}
