package clerkorg

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestEmailAddresses(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		detail ErrorDetail
		want   []string
	}{
		"nothing":             {ErrorDetail{}, nil},
		"a list":              {ErrorDetail{Meta: Metadata(`{"email_addresses":["Ada@example.com"," grace@example.com "]}`)}, []string{"Ada@example.com", "grace@example.com"}},
		"a string":            {ErrorDetail{Meta: Metadata(`{"email_addresses":"ada@example.com"}`)}, []string{"ada@example.com"}},
		"identifiers":         {ErrorDetail{Meta: Metadata(`{"identifiers":["+15551234567","ada@example.com","ada"]}`)}, []string{"ada@example.com"}},
		"one identifier":      {ErrorDetail{Meta: Metadata(`{"identifiers":"ada@example.com"}`)}, []string{"ada@example.com"}},
		"both, and twice":     {ErrorDetail{Meta: Metadata(`{"identifiers":["ADA@example.com","b@x.io"],"email_addresses":["ada@example.com"]}`)}, []string{"ada@example.com", "b@x.io"}},
		"meta of other shape": {ErrorDetail{Meta: Metadata(`["ada@example.com"]`)}, nil},
		"a list of others":    {ErrorDetail{Meta: Metadata(`{"email_addresses":[1],"identifiers":{"a":"ada@example.com"}}`)}, nil},
		"meta and text":       {ErrorDetail{Meta: Metadata(`{"email_addresses":["ada@example.com"]}`), LongMessage: "ada@EXAMPLE.com and b@x.io are taken."}, []string{"ada@example.com", "b@x.io"}},
		"end of a sentence":   {ErrorDetail{LongMessage: "Taken: ada@example.com, b@x.io."}, []string{"ada@example.com", "b@x.io"}},
		"only a message":      {ErrorDetail{Message: "ada@example.com is taken"}, []string{"ada@example.com"}},
		"quoted":              {ErrorDetail{LongMessage: "'ada@example.com', \"b@x.io\", <c@x.io>, `d@x.io`"}, []string{"ada@example.com", "b@x.io", "c@x.io", "d@x.io"}},
		"an apostrophe":       {ErrorDetail{LongMessage: "o'brien@example.com is taken"}, []string{"o'brien@example.com"}},
		"signs and letters":   {ErrorDetail{LongMessage: "ada+l.o@sub-1.example.com, jürgen@müller.example"}, []string{"ada+l.o@sub-1.example.com", "jürgen@müller.example"}},
		"no address":          {ErrorDetail{LongMessage: "at 5 @ noon, @ada, ada@, a@b@c.com"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, test.want, test.detail.EmailAddresses())
			names := test.detail.names()
			for _, address := range test.want {
				assert.True(t, names(address), address)
			}
		})
	}
	all := &APIError{Errors: []ErrorDetail{
		{LongMessage: "b@x.io"},
		{Meta: Metadata(`{"email_addresses":["a@x.io","B@x.io"]}`)},
	}}
	assert.Equal(t, []string{"b@x.io", "a@x.io"}, all.EmailAddresses())
}

// TestNames: an address that was sent is found where no pattern would find it, and
// never as a part of another one.
func TestNames(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		text, address string
		want          bool
	}{
		{`Taken: "ada lovelace"@example.com.`, `"Ada Lovelace"@example.com`, true},
		{"Taken: ada@[192.0.2.1]", "ada@[192.0.2.1]", true},
		{"Taken: ada@example.com...", "ada@example.com", true},
		{"Taken: xada@example.com", "ada@example.com", false},
		{"Taken: o'ada@example.com", "ada@example.com", false},
		{"Taken: 'ada@example.com'", "ada@example.com", true},
		{"Taken: ada@example.com.au", "ada@example.com", false},
		{"Taken: x.ada@example.com, ada@example.com", "ada@example.com", true},
		{"Taken: grace@example.com", "ada@example.com", false},
	} {
		detail := ErrorDetail{LongMessage: test.text}
		assert.Equal(t, test.want, detail.names()(test.address), test.text)
	}
}
