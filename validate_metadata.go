package clerkorg

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"unicode/utf8"

	"github.com/clerkorg/clerkorg-go/internal/jsonwire"
)

const (
	maxMetadataBytes = 8192

	// maxNesting is how deep maxMetadataBytes can nest: a level takes two bytes.
	maxNesting = maxMetadataBytes / 2
)

var (
	errTooDeep = fmt.Errorf("must not nest deeper than %d levels, or hold itself", maxNesting)
	errNotUTF8 = errors.New("must hold nothing but UTF-8, in keys too")
)

// metadata encodes v at the end of buf. Raw is nil where there is none.
func (p *problems) metadata(i int, field string, v any, buf []byte) (raw json.RawMessage, rest []byte) {
	start := len(buf)
	buf, err := appendMetadata(buf, v)
	switch raw = buf[start:len(buf):len(buf)]; {
	case err != nil:
		p.add(i, field, "%s", err)
	case len(raw) == 0 || string(raw) == "null": // a nil map or pointer
	case raw[0] != '{':
		p.add(i, field, "must be a JSON object")
	case len(raw) > maxMetadataBytes:
		p.add(i, field, "must be at most %d bytes of JSON, is %d", maxMetadataBytes, len(raw))
	case !utf8.Valid(raw), wasMended(raw, v):
		p.add(i, field, "%s", errNotUTF8)
	default:
		return raw, buf
	}
	return nil, buf
}

// rawOf returns metadata that is JSON already.
func rawOf(v any) (raw []byte, isRaw bool) {
	switch v := v.(type) {
	case Metadata:
		return v, true
	case json.RawMessage:
		return v, true
	}
	return nil, false
}

func rawSize(v any) int {
	raw, _ := rawOf(v)
	return len(raw)
}

func appendMetadata(buf []byte, v any) ([]byte, error) {
	raw, isRaw := rawOf(v)
	switch {
	case v == nil, isRaw && len(raw) == 0:
		return buf, nil
	case isRaw:
		long, err := jsonwire.Compact(buf, raw)
		if err != nil {
			return buf, encodingFault(v, err)
		}
		return long, nil
	case nestsDeeper(v, maxNesting):
		return buf, errTooDeep // encoding/json has no limit but the stack, whose end is that of the process
	}
	long, err := jsonwire.Append(buf, v)
	if err != nil {
		return buf, encodingFault(v, err)
	}
	return long, nil
}

// nestsDeeper reports whether maps and slices of any value, the usual form of data
// without a fixed shape, nest deeper than levels. Those that hold themselves do.
func nestsDeeper(v any, levels int) bool {
	switch v := v.(type) {
	case map[string]any:
		for _, inner := range v {
			if levels == 0 || nestsDeeper(inner, levels-1) {
				return true
			}
		}
	case []any:
		for _, inner := range v {
			if levels == 0 || nestsDeeper(inner, levels-1) {
				return true
			}
		}
	}
	return false
}

// encodingFault says why v is not or does not become JSON, without repeating any of
// it.
func encodingFault(v any, err error) error {
	if broken, ok := errors.AsType[*jsonwire.DecodeError](err); ok {
		if broken.TooDeep() {
			return errTooDeep
		}
		if _, isRaw := rawOf(v); isRaw {
			return fmt.Errorf("must be JSON: expected %s at byte offset %d", broken.Expected, broken.Offset)
		}
	}
	if value, ok := errors.AsType[*json.UnsupportedValueError](err); ok {
		switch {
		case value.Str == "NaN", value.Str == "+Inf", value.Str == "-Inf":
			return fmt.Errorf("must encode to JSON: it holds %s, which JSON cannot express", value.Str)
		case strings.Contains(value.Str, "cycle"):
			return errTooDeep
		}
	}
	if unsupported, ok := errors.AsType[*json.UnsupportedTypeError](err); ok {
		return fmt.Errorf("must encode to JSON: type %s cannot", unsupported.Type)
	}
	if strings.HasSuffix(err.Error(), "exceeded max depth") { // in what a MarshalJSON method returned
		return errTooDeep
	}
	return fmt.Errorf("must encode to JSON: %T did not", v)
}

// wasMended reports whether v holds text that is not UTF-8, in place of which
// encoding/json writes an escaped replacement character. Such an escape may also be
// in JSON that came from elsewhere, hence the look at v itself.
func wasMended(raw []byte, v any) bool {
	_, isRaw := rawOf(v)
	return !isRaw && bytes.Contains(raw, []byte(`\ufffd`)) && holdsInvalid(reflect.ValueOf(v), 0)
}

// holdsInvalid looks for text that is not UTF-8 in a value that encoding/json can
// encode. What encodes itself to JSON is not looked into: its bytes are in the
// output as they are.
func holdsInvalid(v reflect.Value, depth int) bool {
	if !v.IsValid() || depth > 2*maxNesting { // each level is an interface or pointer, and its value
		return false
	}
	if v.Kind() == reflect.Interface {
		return holdsInvalid(v.Elem(), depth+1)
	}
	if v.Kind() == reflect.Pointer && v.IsNil() {
		return false // and its methods, which may be those of what it points to, are not called
	}
	if v.CanInterface() {
		switch v := v.Interface().(type) {
		case json.Marshaler:
			return false
		case encoding.TextMarshaler:
			text, err := v.MarshalText()
			return err == nil && !utf8.Valid(text)
		}
	}
	switch v.Kind() {
	case reflect.String:
		return !utf8.ValidString(v.String())
	case reflect.Pointer:
		return holdsInvalid(v.Elem(), depth+1)
	case reflect.Map:
		for entries := v.MapRange(); entries.Next(); {
			if holdsInvalid(entries.Key(), depth+1) || holdsInvalid(entries.Value(), depth+1) {
				return true
			}
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			if holdsInvalid(v.Index(i), depth+1) {
				return true
			}
		}
	case reflect.Struct:
		for field, value := range v.Fields() {
			hidden := field.Tag.Get("json") == "-" || !field.IsExported() && !field.Anonymous
			if !hidden && holdsInvalid(value, depth+1) {
				return true
			}
		}
	}
	return false
}
