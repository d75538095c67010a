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
	typ      reflect.Type
	dec, enc op
	elem     *plan          // of a pointer or slice
	fields   []field        // of a struct
	byName   map[string]int // indexes into fields

	callsIsZero bool // whether encoding omits a field when its IsZero method says so
}

// An op says how a type is decoded or encoded.
type op uint8

const (
	opStd    op = iota // by encoding/json
	opMethod           // by its own UnmarshalJSON or MarshalJSON
	opRaw
	opString
	opBool
	opInt
	opPointer
	opSlice
	opStruct
	opAny
)

type field struct {
	plan      *plan
	index     int
	name      string
	prefix    string // `"name":`
	omitEmpty bool
	omitZero  bool
}

var (
	unmarshalerType     = reflect.TypeFor[json.Unmarshaler]()
	marshalerType       = reflect.TypeFor[json.Marshaler]()
	textUnmarshalerType = reflect.TypeFor[encoding.TextUnmarshaler]()
	textMarshalerType   = reflect.TypeFor[encoding.TextMarshaler]()
	isZeroerType        = reflect.TypeFor[interface{ IsZero() bool }]()
	numberType          = reflect.TypeFor[json.Number]()
	rawType             = reflect.TypeFor[Raw]()
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
	p := &plan{typ: t}
	b[t] = p
	p.dec = b.shape(t, p)
	p.enc = p.dec

	// What a pointer has for methods are those of its element.
	methods := reflect.PointerTo(t)
	switch {
	case methods.Implements(unmarshalerType):
		p.dec = opMethod
	case methods.Implements(textUnmarshalerType), p.dec == opAny:
		p.dec = opStd
	}
	switch {
	case t == rawType:
		p.enc = opRaw
	case methods.Implements(marshalerType):
		p.enc = opMethod
	case methods.Implements(textMarshalerType), p.callsIsZero:
		p.enc = opStd
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
	case reflect.Interface:
		if t.NumMethod() == 0 {
			return opAny
		}
	}
	return opStd
}

// structFields fills in the fields. It reports false if there is something about
// them that is better left to encoding/json.
func (b planner) structFields(t reflect.Type, p *plan) bool {
	p.byName = make(map[string]int)
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
		_, duplicate := p.byName[name]
		if duplicate || sf.Anonymous || strings.ContainsFunc(name, unusual) {
			return false
		}
		f := field{plan: b.plan(sf.Type), index: i, name: name, prefix: `"` + name + `":`}
		for option := range strings.SplitSeq(options, ",") {
			switch option {
			case "omitempty":
				f.omitEmpty = true
			case "omitzero":
				f.omitZero = true
				if sf.Type.Implements(isZeroerType) || reflect.PointerTo(sf.Type).Implements(isZeroerType) {
					p.callsIsZero = true
				}
			case "string":
				return false
			}
		}
		p.byName[name] = len(p.fields)
		p.fields = append(p.fields, f)
	}
	return true
}

// unusual reports whether c makes encoding/json think twice about a name.
func unusual(c rune) bool {
	return !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c == '-')
}
