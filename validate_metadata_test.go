package clerkorg

import (
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// nested is n objects, one in another.
func nested(n int) any {
	var v any = 1
	for range n {
		v = map[string]any{"a": v}
	}
	return v
}

type node struct {
	Name string `json:"name,omitempty"`
	Next *node  `json:"next,omitempty"`
	Back *node  `json:"-"`
	note string
}

// secretText encodes itself to text, and secretJSON to JSON.
type secretText struct{ text string }

func (s secretText) MarshalText() ([]byte, error) { return []byte(s.text), nil }

type secretJSON struct{ text string }

func (s secretJSON) MarshalJSON() ([]byte, error) { return []byte(s.text), nil }

// nanInside encodes itself by way of encoding/json.
type nanInside struct{}

func (nanInside) MarshalJSON() ([]byte, error) { return json.Marshal(math.NaN()) }

func TestValidateMetadataSaysWhy(t *testing.T) {
	t.Parallel()
	const (
		tooDeep = "must not nest deeper than 4096 levels, or hold itself"
		notUTF8 = "must hold nothing but UTF-8, in keys too"
		bad     = "canary\xff"
	)
	circle := map[string]any{"a": 1}
	circle["b"], circle["c"] = circle, []any{circle}
	slice := []any{nil}
	slice[0] = slice
	ring := &node{}
	ring.Next = ring
	parent := &node{Name: "parent", note: bad}
	child := &node{Name: "\ufffd", Back: parent} // the way back is not encoded
	parent.Next = child
	rawDeep := func(n int) string { return `{"a":` + strings.Repeat("[", n) + strings.Repeat("]", n) + "}" }
	for name, test := range map[string]struct {
		metadata any
		fault    string
	}{
		"NaN":                       {map[string]any{"canary": math.NaN()}, "must encode to JSON: it holds NaN, which JSON cannot express"},
		"NaN in a struct":           {struct{ Canary float32 }{float32(math.NaN())}, "must encode to JSON: it holds NaN, which JSON cannot express"},
		"NaN in a marshaler":        {map[string]any{"canary": nanInside{}}, "must encode to JSON: it holds NaN, which JSON cannot express"},
		"infinity":                  {map[string]float64{"canary": math.Inf(1)}, "must encode to JSON: it holds +Inf, which JSON cannot express"},
		"minus infinity":            {[]any{math.Inf(-1)}, "must encode to JSON: it holds -Inf, which JSON cannot express"},
		"a marshaler's own words":   {secretFailing{}, "must encode to JSON: clerkorg.secretFailing did not"},
		"a function":                {map[string]any{"canary": func() {}}, "must encode to JSON: type func() cannot"},
		"1,000 levels":              {nested(1000), ""},
		"5,000 levels":              {nested(5000), tooDeep},
		"a million levels":          {nested(1_000_000), tooDeep},
		"a map that holds itself":   {circle, tooDeep},
		"a slice that holds itself": {map[string]any{"a": slice}, tooDeep},
		"a struct that does":        {map[string]any{"a": ring}, tooDeep},
		"the way back is left out":  {parent, ""},
		"raw with many levels":      {Metadata(rawDeep(4000)), ""},
		"raw with too many levels":  {Metadata(rawDeep(10_001)), tooDeep},
		"marshaled too deep":        {secretJSON{rawDeep(10_001)}, tooDeep},
		"raw too deep in a map":     {map[string]any{"a": json.RawMessage(rawDeep(10_001))}, tooDeep},
		"no JSON":                   {Metadata(`{"a":canary}`), "must be JSON: expected a value at byte offset 5"},
		"cut off":                   {json.RawMessage(`{"canary":1`), "must be JSON: expected , or } at byte offset 11"},
		"two values":                {Metadata(`{} {"canary":1}`), "must be JSON: expected nothing more at byte offset 3"},

		"bad UTF-8 in a map":           {map[string]any{"a": bad}, notUTF8},
		"bad UTF-8 in a key":           {map[string]any{bad: 1}, notUTF8},
		"bad UTF-8 in strings":         {map[string]string{"a": bad}, notUTF8},
		"bad UTF-8 far inside":         {map[string]any{"a": []any{1, map[string]any{"b": []string{"c", bad}}}}, notUTF8},
		"bad UTF-8 in a struct":        {struct{ A string }{bad}, notUTF8},
		"bad UTF-8 behind a pointer":   {&node{Next: &node{Name: bad}}, notUTF8},
		"bad UTF-8 in an embedded":     {struct{ node }{node{Name: bad}}, notUTF8},
		"bad UTF-8 from MarshalText":   {map[string]any{"a": secretText{bad}}, notUTF8},
		"bad UTF-8 from MarshalJSON":   {map[string]any{"a": secretJSON{`"` + bad + `"`}}, notUTF8},
		"bad UTF-8 in raw":             {Metadata(`{"a":"` + bad + `"}`), notUTF8},
		"bad UTF-8 in raw in a map":    {map[string]any{"a": json.RawMessage(`"` + bad + `"`)}, notUTF8},
		"bad UTF-8 that is not sent":   {struct{ a, B string }{bad, "\ufffd"}, ""},
		"U+FFFD":                       {map[string]any{"a": "\ufffd", "\ufffd": "b"}, ""},
		"U+FFFD escaped in raw":        {Metadata(`{"a":"\ufffd"}`), ""},
		"U+FFFD escaped in raw inside": {map[string]any{"a": json.RawMessage(`"\ufffd"`), "b": (*secretText)(nil), "c": nil, "d": time.Time{}}, ""},
		"looks like an escape":         {map[string]any{"a": `\ufffd`}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for field, change := range map[string]func(*CreateInvitationParams){
				"public_metadata":  func(p *CreateInvitationParams) { p.PublicMetadata = test.metadata },
				"private_metadata": func(p *CreateInvitationParams) { p.PrivateMetadata = test.metadata },
			} {
				params := person("ada@example.com")
				change(&params)
				want := ""
				if test.fault != "" {
					want = field + ": " + test.fault
				}
				assert.Equal(t, want, faultOf(t, params))
			}
		})
	}
}

type secretFailing struct{}

func (secretFailing) MarshalJSON() ([]byte, error) { return nil, errors.New("canary exceeded") }
