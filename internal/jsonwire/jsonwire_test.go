package jsonwire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// everything has a field of every kind that is treated in its own way.
type everything struct {
	String    string              `json:"string"`
	Named     status              `json:"named,omitempty"`
	Bool      bool                `json:"bool,omitempty"`
	Int       int                 `json:"int,omitzero"`
	Int8      int8                `json:"int8,omitempty"`
	Int64     int64               `json:"int64"`
	Uint8     uint8               `json:"uint8"`
	Float32   float32             `json:"float32,omitempty"`
	Float64   float64             `json:"float64"`
	Number    json.Number         `json:"number"`
	Pointer   *string             `json:"pointer,omitempty"`
	Pointers  **int               `json:"pointers"`
	Strings   []string            `json:"strings,omitempty"`
	Matrix    [][]int16           `json:"matrix,omitzero"`
	Structs   []organization      `json:"structs"`
	Struct    organization        `json:"struct,omitempty"`
	Anonymous struct{ A, B int }  `json:"anonymous,omitzero"`
	Recursive *everything         `json:"recursive,omitzero"`
	Children  []*everything       `json:"children,omitempty"`
	Bytes     []byte              `json:"bytes,omitempty"`
	Array     [2]int              `json:"array,omitempty"`
	Map       map[string]any      `json:"map,omitempty"`
	Structmap map[string]*inviter `json:"structmap,omitempty"`
	Any       any                 `json:"any,omitempty"`
	Message   json.RawMessage     `json:"message"`
	Metadata  metadata            `json:"metadata,omitempty"`
	Metadatas []metadata          `json:"metadatas,omitempty"`
	MetaPtr   *metadata           `json:"metaptr,omitempty"`
	Stamp     timestamp           `json:"stamp,omitzero"`
	StampPtr  *timestamp          `json:"stampptr,omitzero"`
	Time      time.Time           `json:"time,omitzero"`
	Text      text                `json:"text,omitempty"`
	TextPtr   *text               `json:"textptr,omitempty"`
	Odd       odd                 `json:"odd,omitzero"`
	OddPtr    *odd                `json:"oddptr,omitzero"`
	Even      even                `json:"even,omitzero"`
	Embedding embedding           `json:"embedding,omitzero"`
	Quoted    quoted              `json:"quoted,omitzero"`
	Untagged  bool
	Dash      int `json:"-,"`
	Skipped   int `json:"-"`
	private   int
}

type text string

func (t *text) UnmarshalText(b []byte) error {
	if len(b) == 0 {
		return errors.New("empty")
	}
	*t = text("<" + string(b) + ">")
	return nil
}

func (t text) MarshalText() ([]byte, error) { return []byte("&" + t), nil }

// odd has its methods on pointers, and a zero value of its own.
type odd struct{ N int }

func (o *odd) UnmarshalJSON(b []byte) error {
	o.N += 2*len(b) + 1
	return nil
}

func (o *odd) MarshalJSON() ([]byte, error) {
	return []byte(` [ "odd" , ` + fmt.Sprint(o.N) + "\n] "), nil
}
func (o *odd) IsZero() bool { return o.N == 1 }

// even has no methods but this one.
type even struct{ N int }

func (e even) IsZero() bool { return e.N%4 == 0 }

type embedding struct {
	organization
	*inviter
	X int `json:"x"`
}

type quoted struct {
	N int `json:"n,string"`
}

func preset() everything {
	s, n := "pointed to", 7
	pn := &n
	return everything{
		String: "was here", Bool: true, Int: 1, Int8: 2, Int64: 3, Uint8: 4, Float64: 5, Number: "6",
		Pointer: &s, Pointers: &pn, Strings: append(make([]string, 0, 4), "a", "b", "c")[:1],
		Matrix:  [][]int16{{1, 2}, {3}},
		Structs: []organization{{ID: "1", Name: "one"}, {ID: "2", Name: "two"}}[:1],
		Struct:  organization{Slug: "slug", HasImage: true}, Recursive: &everything{String: "inner"},
		Children: []*everything{{Int: 1}, nil}, Bytes: []byte("bytes"), Array: [2]int{1, 2},
		Map: map[string]any{"a": 1.0}, Structmap: map[string]*inviter{"a": {UserID: "u"}}, Any: &organization{ID: "any"},
		Message: json.RawMessage(`[1]`), Metadata: metadata(`{}`), Stamp: timestamp{time.UnixMilli(1)},
		StampPtr: &timestamp{}, Text: "text", Odd: odd{5}, OddPtr: &odd{1}, Even: even{6}, Dash: 1, Skipped: 2, private: 3,
	}
}

// agree checks that Unmarshal of data does what json.Unmarshal does.
func agree[T any](t *testing.T, data []byte, fresh func() T) {
	t.Helper()
	want, got := fresh(), fresh()
	wantErr := json.Unmarshal(data, &want)
	buf := bytes.Clone(data)
	err := Unmarshal(buf, &got)
	for i := range buf {
		buf[i] = '!' // nothing may refer to it any more
	}
	if err != nil {
		assert.Regexp(t, harmless, err.Error())
	}
	if wantErr == nil && err == nil && reflect.DeepEqual(want, got) || wantErr != nil && err != nil {
		return
	}
	if hasFoldedName(data) {
		return // names that differ from known ones by case are ours to refuse
	}
	require.Equal(t, wantErr, err)
	require.Equal(t, want, got)
}

// harmless is what errors look like: none of it comes from the document.
var harmless = regexp.MustCompile(`^jsonwire: (([a-zA-Z0-9_]+|\[[0-9]+\]|-)(\.[a-zA-Z0-9_]+|\[[0-9]+\]|\.-)*: )?` +
	`expected ([\[{:]|, or [\]}]|a value|a value for [a-z0-9A-Z_.*\[\] {};]+|a string|a valid string|a number|` +
	`a number that fits into int[0-9]*|true or false|true|false|null|less nesting|nothing more) at offset [0-9]+$`)

var knownNames = func() (names []string) {
	for _, t := range []reflect.Type{
		reflect.TypeFor[list](), reflect.TypeFor[invitation](), reflect.TypeFor[inviter](),
		reflect.TypeFor[organization](), reflect.TypeFor[everything](), reflect.TypeFor[struct{ A, B int }](),
		reflect.TypeFor[even](),
	} {
		for field := range t.Fields() {
			name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			if name == "" {
				name = field.Name
			}
			names = append(names, name)
		}
	}
	return names
}()

// hasFoldedName reports whether a string in data is a known name but for its case.
func hasFoldedName(data []byte) bool {
	for dec := json.NewDecoder(bytes.NewReader(data)); ; {
		token, err := dec.Token()
		if err != nil {
			return false
		}
		if s, ok := token.(string); ok {
			for _, name := range knownNames {
				if s != name && strings.EqualFold(s, name) {
					return true
				}
			}
		}
	}
}

var documents = []string{
	``, ` `, `null`, ` null `, `{}`, ` { } `, `[]`, `[ ]`, `"x"`, `1`, `true`, `{} {}`, `{},`, `{}x`, "{}\n", "\ufeff{}", "{}\x00", "{}\v",
	`{`, `}`, `[`, `{"`, `{"string`, `{"string"`, `{"string":`, `{"string":"`, `{"string":"x`, `{"string":"x"`, `{"string":"x",`, `{"string":"x",}`,
	`{,}`, `{"string" "x"}`, `{"string":,}`, `{"string":"x" "int":1}`, `{string:"x"}`, `{'string':"x"}`, `{1:2}`, `{null:1}`, `{"a":1,,"b":2}`,
	`{"string":"x"]`, `{"strings":["x"}`, `{"strings":["x",]}`, `{"strings":[,]}`, `{"strings":["x" "y"]}`,
	"\t{\r\n \"string\" \t:\n\"x\"\r, \"strings\" : [ \"a\" , \"b\" ] } ",
	`{"string":"a","string":"b"}`, `{"recursive":{"int":5},"recursive":{"int64":6}}`, `{"strings":["a","b"],"strings":["c"]}`, `{"pointer":"a","pointer":null}`,
	`{"structs":[{"id":"a","name":"b"},{"id":"c"}],"structs":[{"slug":"d"},{},{}]}`, `{"map":{"a":1},"map":{"b":2}}`, `{"odd":1,"odd":22}`,
	`{"string":"a\tb"}`, "{\"string\":\"a\tb\"}", "{\"string\":\"a\x1fb\"}", "{\"string\":\"a\x7fb\"}", "{\"string\":\"a\x00b\"}",
	`{"string":"\"\\\/\b\f\n\r\t"}`, `{"string":"\'"}`, `{"string":"\x"}`, `{"string":"\`, `{"string":"\"`, `{"string":"\u`, `{"string":"\u12`, `{"string":"\u12"}`,
	`{"string":"\u00e9\u00E9\u0000\u12zz"}`, `{"string":"\u00e9\u00E9\u0000"}`, `{"string":"\u+123"}`, `{"string":"\u_123"}`, `{"string":"\U1234"}`,
	`{"string":"\ud83d\ude00"}`, `{"string":"\ud83d"}`, `{"string":"\ude00\ud83d"}`, `{"string":"\ud83d\u0041"}`, `{"string":"\ud83dA"}`, `{"string":"\ud83d\ud83d\ude00"}`,
	`{"string":"\ud83d\n"}`, `{"string":"é€😀"}`, "{\"string\":\"\xff\"}", "{\"string\":\"a\xc3\"}", "{\"string\":\"\xed\xa0\x80\"}", "{\"string\":\"\xf4\x90\x80\x80 and on\"}",
	`{"string":"\ufffd\u2028"}`, `{"str\u0069ng":"x"}`, `{"\u0073tring\u0000":"x"}`, "{\"str\xffing\":1}", `{"":1}`, `{"unknown":[{"a":[]}],"string":"x"}`,
	`{"unknown":tru}`, `{"unknown":01}`, `{"unknown":{"a" 1}}`, `{"unknown":[1 2]}`, `{"unknown":"\q"}`, `{"unknown":nul}`, `{"unknown":-}`, `{"unknown":{"a":1,}}`,
	`{"bool":true}`, `{"bool":false}`, `{"bool":tru}`, `{"bool":truee}`, `{"bool":null}`, `{"bool":nul}`, `{"bool":"true"}`, `{"bool":1}`, `{"bool":True}`,
	`{"int":0}`, `{"int":-0}`, `{"int":00}`, `{"int":01}`, `{"int":+1}`, `{"int":-}`, `{"int":--1}`, `{"int":1.0}`, `{"int":1e3}`, `{"int":1.}`, `{"int":.5}`, `{"int":1e}`, `{"int":1e+}`,
	`{"int":9223372036854775807}`, `{"int":9223372036854775808}`, `{"int":-9223372036854775808}`, `{"int":-9223372036854775809}`, `{"int":null}`, `{"int":"1"}`, `{"int":0x1}`, `{"int":1_0}`,
	`{"int8":127}`, `{"int8":128}`, `{"int8":-128}`, `{"int8":-129}`, `{"uint8":255}`, `{"uint8":256}`, `{"uint8":-1}`, `{"uint8":-0}`,
	`{"float64":1.5e300}`, `{"float64":1e999}`, `{"float32":1e39}`, `{"float64":-0.0}`, `{"float64":1E-7}`, `{"float64":01.5}`, `{"float64":"NaN"}`, `{"float64":NaN}`,
	`{"number":1.50}`, `{"number":"2"}`, `{"number":"x"}`, `{"number":null}`, `{"string":1}`, `{"string":true}`, `{"string":{}}`, `{"string":[]}`, `{"string":null}`, `{"named":"n"}`,
	`{"pointer":"p"}`, `{"pointer":null}`, `{"pointers":1}`, `{"pointers":null}`, `{"pointer":1}`, `{"pointers":[]}`,
	`{"strings":null}`, `{"strings":[]}`, `{"strings":[null,"x",null,null]}`, `{"strings":{}}`, `{"strings":"x"}`, `{"strings":["x",1]}`, `{"matrix":[[],[1],null,[2,3,4]]}`, `{"matrix":[[1],[2]]}`,
	`{"structs":[null,{},null]}`, `{"struct":null}`, `{"struct":[]}`, `{"struct":{"id":null}}`, `{"anonymous":{"A":1,"B":2}}`,
	`{"recursive":{"recursive":{"recursive":null,"string":"deep"}},"children":[null,{},{"children":[]}]}`, `{"recursive":null,"children":[{"int":2},{"int":3}]}`,
	`{"bytes":"aGk="}`, `{"bytes":"!"}`, `{"bytes":[1,2]}`, `{"bytes":null}`, `{"array":[3]}`, `{"array":[1,2,3]}`, `{"map":null}`, `{"map":{"x":[1,"2",null,{"y":{}}]}}`, `{"structmap":{"a":{"user_id":"x"},"b":null}}`,
	`{"any":null}`, `{"any":{"id":"x"}}`, `{"any":[1,2.5,"x",null,true]}`, `{"message": {"a" : 1} }`, `{"message":null}`, `{"message":}`, `{"message":[1,]}`,
	`{"metadata":{"a":[1,2,{}]}}`, `{"metadata":null}`, `{"metadata": [ 1 ] , "metaptr": null}`, `{"metaptr":{"a":1},"metadatas":[1,null,"x"]}`, `{"metaptr":nul}`,
	`{"stamp":1709294400000}`, `{"stamp":null}`, `{"stamp":"x"}`, `{"stampptr":1}`, `{"stampptr":null}`, `{"stamp":1.5}`, `{"stamp":-1709294400000}`, `{"stamp":-0}`, `{"stamp":01}`, `{"stamp":-}`, `{"stamp":999999999999999999}`, `{"stamp":9223372036854775807}`, `{"stamp":9223372036854775808}`, `{"stamp":1e3}`, `{"stamp":1x}`, `{"stamp":[1]}`, `{"time":"2024-03-01T12:00:00Z"}`, `{"time":1}`,
	`{"text":"x"}`, `{"text":""}`, `{"text":null}`, `{"text":1}`, `{"textptr":"y"}`, `{"textptr":null}`, `{"odd":null,"oddptr":null}`, `{"odd":[1,2],"oddptr":{}}`, `{"even":{"N":3}}`,
	`{"embedding":{"id":"x","user_id":"y","x":3}}`, `{"quoted":{"n":"5"}}`, `{"quoted":{"n":5}}`, `{"Untagged":true,"-":5,"Skipped":6,"private":7}`,
	`{"data":[],"total_count":0}`, `{"data":null,"total_count":1e2}`, `{"data":[{"id":"a","created_at":1,"public_inviter_data":null}],"total_count":1}`,
	`{"data":[{"id":"x"},{"public_inviter_data":{"user_id":"u","first_name":null}}],"total_count":2,"more":true}`,
}

func TestUnmarshalLikeStd(t *testing.T) {
	for _, doc := range append(documents, string(listJSON(3))) {
		t.Run(doc[:min(len(doc), 60)], func(t *testing.T) {
			agree(t, []byte(doc), func() everything { return everything{} })
			agree(t, []byte(doc), preset)
			agree(t, []byte(doc), func() *everything { return nil })
			agree(t, []byte(doc), func() list { return list{} })
			agree(t, []byte(doc), func() []any { return nil })
			agree(t, []byte(doc), func() []string { return nil })
			agree(t, []byte(doc), func() string { return "" })
			agree(t, []byte(doc), func() int { return 1 })
			agree(t, []byte(doc), func() *bool { return nil })
			agree(t, []byte(doc), func() any { return nil })
			agree(t, []byte(doc), func() map[string]any { return nil })
			agree(t, []byte(doc), func() timestamp { return timestamp{} })
			agree(t, []byte(doc), func() metadata { return nil })
		})
	}
}

// Documents that are made of many of the above, some of them damaged.
func TestUnmarshalMixed(t *testing.T) {
	var members []string
	for _, doc := range documents {
		if err := json.Unmarshal([]byte(doc), new(everything)); err == nil && strings.HasPrefix(doc, `{"`) {
			members = append(members, doc[1:len(doc)-1])
		}
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 5000 {
		var some []string
		for range 1 + r.IntN(6) {
			some = append(some, members[r.IntN(len(members))])
		}
		doc := []byte("{" + strings.Join(some, ",") + "}")
		if i := r.IntN(len(doc)); r.IntN(3) == 0 {
			doc[i] = doc[r.IntN(len(doc))]
		}
		agree(t, doc, preset)
		agree(t, append(append([]byte(`{"children":[`), doc...), `,{}]}`...), preset)
	}
}

// All that is cut off is an error, and where it is cut does not matter.
func TestUnmarshalTruncated(t *testing.T) {
	data := listJSON(2)
	for n := range data {
		var l list
		require.Error(t, Unmarshal(data[:n:n], &l), "%d bytes", n)
	}
}

func TestUnmarshalDepth(t *testing.T) {
	type nested struct {
		Next  *nested  `json:"next"`
		Nexts []nested `json:"nexts"`
	}
	type slices []slices
	nest := func(open, inner, end string, n int) []byte {
		return []byte(strings.Repeat(open, n) + inner + strings.Repeat(end, n))
	}
	for _, n := range []int{9_998, 9_999, 10_000, 10_001} {
		agree(t, nest("[", "", "]", n), func() any { return nil })
		agree(t, nest("[", "", "]", n), func() metadata { return nil })
		agree(t, nest("[", "", "]", n), func() slices { return nil })
		agree(t, nest(`{"next":`, "null", "}", n), func() nested { return nested{} })
		agree(t, nest(`{"unknown":`, "[]", "}", n), func() nested { return nested{} })
		agree(t, nest(`{"nexts":[`, "", "]}", n/2), func() nested { return nested{} })
		agree(t, []byte(`{"next":{"unknown":`+string(nest("[", "", "]", n))+`}}`), func() nested { return nested{} })
	}
}

func TestUnmarshalNoPointer(t *testing.T) {
	assert.Error(t, Unmarshal([]byte(`{}`), nil))
	assert.Error(t, Unmarshal([]byte(`{}`), list{}))
	assert.Error(t, Unmarshal([]byte(`{}`), (*list)(nil)))
}

// Names have to match exactly. This is the one thing that is not as in
// encoding/json.
func TestUnmarshalCase(t *testing.T) {
	var o organization
	require.NoError(t, Unmarshal([]byte(`{"ID":"1","name":"two","Slug":"3"}`), &o))
	assert.Equal(t, organization{Name: "two"}, o)
}

func TestDecodeError(t *testing.T) {
	for doc, want := range map[string]DecodeError{
		`{"data":[{},{"created_at":"ada@example.com"}]}`:   {26, "data[1].created_at", "a value for jsonwire.timestamp"},
		`{"data":[{"public_inviter_data":{"user_id":7}}]}`: {43, "data[0].public_inviter_data.user_id", "a string"},
		`{"data":[{"id":"ada@example.com]}`:                {33, "data[0].id", "a valid string"},
		`{"total_count":12345678901234567890}`:             {15, "total_count", "a number that fits into int"},
		`{"total_count":"12"}`:                             {15, "total_count", "a number"},
		`{"ada@example.com":x}`:                            {19, "", "a value"},
		`{"data":[{"ada":[[{"x":}]]}]}`:                    {23, "data[0]", "a value"},
		`{} ada@example.com`:                               {3, "", "nothing more"},
	} {
		var l list
		err := Unmarshal([]byte(doc), &l)
		var got *DecodeError
		require.ErrorAs(t, err, &got, doc)
		assert.Equal(t, want, *got, doc)
		assert.Regexp(t, harmless, err.Error())
	}
	var matrix [][]int
	assert.EqualError(t, Unmarshal([]byte(`[[1],[2,true]]`), &matrix), "jsonwire: [1][1]: expected a number at offset 8")
	assert.Equal(t, "<nil>", (*DecodeError)(nil).Error())
}

// What a document can make Unmarshal allocate for elements that never come is
// limited by its own length.
func TestUnmarshalAmplification(t *testing.T) {
	doc := []byte("[" + strings.TrimSuffix(strings.Repeat("[{},{}],", 20_000), ",") + "]")
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	var v [][]organization
	require.NoError(t, Unmarshal(doc, &v))
	runtime.ReadMemStats(&after)
	size := func(v any) int { return int(reflect.TypeOf(v).Size()) }
	needed := 20_000 * (2*size(organization{}) + size(v[0]))
	assert.Less(t, int(after.TotalAlloc-before.TotalAlloc), 4*needed)
}

// Strings that come again are allocated once, and not kept beyond the call.
func TestUnmarshalInterns(t *testing.T) {
	data := listJSON(100)
	allocs := testing.AllocsPerRun(10, func() {
		var l list
		if err := Unmarshal(data, &l); err != nil {
			t.Fatal(err)
		}
	})
	assert.LessOrEqual(t, allocs/100, 1.0)

	d := decoders.Get().(*decoder)
	assert.Zero(t, *d)
	decoders.Put(d)
}

// What is kept of a list holds no more of it than a piece of memory.
func TestKeptHolds(t *testing.T) {
	data := listJSON(100)
	for name, tt := range map[string]struct {
		keep func(*invitation) any
		most int
	}{
		"an id":       {func(i *invitation) any { return i.ID }, 1 << 10},
		"an address":  {func(i *invitation) any { return i.EmailAddress }, 1 << 10},
		"a url":       {func(i *invitation) any { return i.URL }, 1 << 10},
		"metadata":    {func(i *invitation) any { return i.PrivateMetadata }, 4 << 10},
		"the inviter": {func(i *invitation) any { return i.PublicInviterData }, 6 << 10}, // and its strings
	} {
		held := 0
		for range 2 { // what is made once, and stays, is no part of the second measurement
			kept := make([]any, 100)
			before := liveHeap()
			for i := range kept {
				var l list
				require.NoError(t, Unmarshal(data, &l))
				kept[i] = tt.keep(&l.Data[i%len(l.Data)])
			}
			held = int(liveHeap()-before) / len(kept)
			runtime.KeepAlive(kept)
		}
		t.Logf("%s holds %d bytes", name, held)
		const header = 24 // of the value, which the test keeps apart
		const noise = 128 // of the runtime, which allocates now and then
		assert.LessOrEqual(t, held, tt.most+header+noise, name)
	}
}

func liveHeap() uint64 {
	var stats runtime.MemStats
	runtime.GC()
	runtime.GC() // the first one moves pools aside, the second one empties them
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}

// Values that share a piece of memory do not write into each other.
func TestVerbatimApart(t *testing.T) {
	var l list
	require.NoError(t, Unmarshal(listJSON(20), &l))
	for i := range l.Data {
		m := l.Data[i].PublicMetadata
		want := string(l.Data[(i+1)%20].PublicMetadata)
		_ = append(m, "overwritten"...)
		clear(m)
		if i < 19 {
			assert.Equal(t, want, string(l.Data[i+1].PublicMetadata))
		}
	}
}

func TestConcurrent(t *testing.T) {
	type fresh struct { // whose plan nobody has made yet
		List list   `json:"list"`
		Next *fresh `json:"next"`
	}
	data := []byte(`{"list":` + string(listJSON(2)) + `,"next":{"next":{"list":{"data":[]}}}}`)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			var v fresh
			assert.NoError(t, Unmarshal(data, &v))
			out, err := Append(nil, v)
			assert.NoError(t, err)
			var again fresh
			assert.NoError(t, Unmarshal(out, &again))
			assert.Equal(t, v, again)
		})
	}
	wg.Wait()
}

// appendAgrees checks that Append does what an Encoder does.
func appendAgrees(t *testing.T, v any) {
	t.Helper()
	var want bytes.Buffer
	enc := json.NewEncoder(&want)
	enc.SetEscapeHTML(false)
	wantErr := enc.Encode(v)
	got, err := Append([]byte("dst"), v)
	if wantErr != nil {
		require.Error(t, err, "%T: %v", v, wantErr)
		require.Equal(t, "dst", string(got))
		return
	}
	require.NoError(t, err, "%T", v)
	require.Equal(t, "dst"+strings.TrimSuffix(want.String(), "\n"), string(got))
	if s, ok := v.(string); ok {
		require.Equal(t, string(got), string(AppendString([]byte("dst"), s)))
	}
}

func TestAppendLikeStd(t *testing.T) {
	p := preset()
	m := metadata(` { "a" : [ 1 , 2 ] } `)
	cycle := map[string]any{}
	cycle["a"] = cycle
	for _, v := range []any{
		nil, true, 1.5, "s", []int(nil), p, &p, m, &m, "<&>", map[string]any{"<": "\u2028"}, json.RawMessage(" [1, 2] "),
		metadata("{"), math.NaN(), make(chan int), cycle,
	} {
		appendAgrees(t, v)
	}
	for _, s := range []string{"", "plain", "<a href=\"x\">&'</a>", "\x00\x01\b\f\n\r\t\x1f \x7f\\/", "é€😀", "\u2028\u2029", "\xff", "a\xc3", "\xed\xa0\x80", "\ufffd", strings.Repeat("x", 100) + "\""} {
		appendAgrees(t, s)
	}
}

// compactAgrees checks that Compact does what json.Compact does.
func compactAgrees(t *testing.T, src []byte) {
	t.Helper()
	want := bytes.NewBufferString("dst")
	wantErr := json.Compact(want, src)
	got, err := Compact([]byte("dst"), src)
	require.Equal(t, wantErr == nil, err == nil, "%v, %v", wantErr, err)
	require.Equal(t, want.String(), string(got))
	if err != nil {
		assert.Regexp(t, harmless, err.Error())
	}
}

func TestCompactLikeStd(t *testing.T) {
	for _, doc := range documents {
		compactAgrees(t, []byte(doc))
		compactAgrees(t, []byte("[ "+doc+"\t]"))
	}
}

func FuzzUnmarshal(f *testing.F) {
	for _, doc := range documents {
		f.Add([]byte(doc))
	}
	f.Add(listJSON(1))
	f.Fuzz(func(t *testing.T, data []byte) {
		agree(t, data, func() list { return list{} })
		agree(t, data, func() everything { return everything{} })
		agree(t, data, preset)
		agree(t, data, func() [][]string { return nil })
	})
}

func FuzzAppendString(f *testing.F) {
	for _, doc := range documents {
		f.Add(doc)
	}
	f.Add("string\xff\u2028<")
	f.Fuzz(func(t *testing.T, s string) { appendAgrees(t, s) })
}

func FuzzCompact(f *testing.F) {
	for _, doc := range documents {
		f.Add([]byte(doc))
	}
	f.Fuzz(compactAgrees)
}
