package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/clerkorg/clerkorg-go"
)

// read reads rows until an error.
func read(text string) (rows []row, err error) {
	for in, err := range readRows(strings.NewReader(text), clerkorg.RoleMember) {
		if err != nil {
			return rows, err
		}
		rows = append(rows, in)
	}
	return rows, nil
}

// shown is what matters of a row, as text.
func shown(rows []row) []string {
	var all []string
	for _, in := range rows {
		body, err := json.Marshal(in.params)
		text := string(body)
		if err != nil {
			text = err.Error()
		}
		if in.err != nil {
			text = in.params.EmailAddress + " ! " + in.err.Error()
		}
		all = append(all, fmt.Sprintf("%3d %s", in.line, text))
	}
	return all
}

func TestReadRows(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, text string
		want       []string
	}{
		{"plain", "email\na@x.de\nb@x.de\n", []string{
			`  2 {"email_address":"a@x.de","role":"org:member"}`,
			`  3 {"email_address":"b@x.de","role":"org:member"}`,
		}},
		{"no newline at the end", "email\na@x.de", []string{`  2 {"email_address":"a@x.de","role":"org:member"}`}},
		{"nothing but a header", "email\n", nil},
		{"byte order mark", "\xEF\xBB\xBFemail\na@x.de\n", []string{`  2 {"email_address":"a@x.de","role":"org:member"}`}},
		{"byte order mark and quotes", "\xEF\xBB\xBF\"email\"\na@x.de\n", []string{`  2 {"email_address":"a@x.de","role":"org:member"}`}},
		{"CRLF", "email,role\r\na@x.de,org:admin\r\n\r\nb@x.de,\r\n", []string{
			`  2 {"email_address":"a@x.de","role":"org:admin"}`,
			`  4 {"email_address":"b@x.de","role":"org:member"}`,
		}},
		{"blank lines", "\n\nemail,role\n\n,\n  \na@x.de,\n", []string{`  7 {"email_address":"a@x.de","role":"org:member"}`}},
		{"the other name, other cases, blanks", " Email_Address , ROLE\n a@x.de , org:admin \n", []string{`  2 {"email_address":"a@x.de","role":"org:admin"}`}},
		{"every column", "notify,expires_in_days,redirect_url,inviter_user_id,role,email\nFALSE,30,/in,user_1,org:x,a@x.de\n", []string{
			`  2 {"email_address":"a@x.de","role":"org:x","inviter_user_id":"user_1","redirect_url":"/in","expires_in_days":30,"notify":false}`,
		}},
		{"metadata", "email,public.Team,Private.n,public.n:json,public.tags:JSON\n" + `a@x.de,"north, ""2""",007,12,x` + "\n" + `b@x.de,,,"[1,true]",` + "\n", []string{
			`  2 {"email_address":"a@x.de","role":"org:member","public_metadata":{"Team":"north, \"2\"","n":12,"tags:JSON":"x"},"private_metadata":{"n":"007"}}`,
			`  3 {"email_address":"b@x.de","role":"org:member","public_metadata":{"n":[1,true]}}`,
		}},
		{"lines within quotes", "email,public.note\na@x.de,\"one\ntwo\"\nb@x.de,\n", []string{
			`  2 {"email_address":"a@x.de","role":"org:member","public_metadata":{"note":"one\ntwo"}}`,
			`  4 {"email_address":"b@x.de","role":"org:member"}`,
		}},
		{"wrong number of columns", "email,role\na@x.de\nb@x.de,org:admin,\nc@x.de,\n", []string{
			`  2 a@x.de ! has 1 columns, the header 2`,
			`  3 b@x.de ! has 3 columns, the header 2`,
			`  4 {"email_address":"c@x.de","role":"org:member"}`,
		}},
		{"bad cells", "email,expires_in_days,notify,public.n:json\na@x.de,0,maybe,{\nb@x.de,1.5,,\nc@x.de,7,,\n", []string{
			`  2 a@x.de ! expires_in_days: must be a number of days, 1 to 365, or empty; notify: must be true, false or empty; public.n: must be JSON or empty`,
			`  3 b@x.de ! expires_in_days: must be a number of days, 1 to 365, or empty`,
			`  4 {"email_address":"c@x.de","role":"org:member","expires_in_days":7}`,
		}},
		{"no address is for the SDK to say", "email,role\n,org:admin\n", []string{`  2 {"email_address":"","role":"org:admin"}`}},
		{"not UTF-8", "email,public.n\na@x.de,\xff\n", []string{`  2 a@x.de ! public.n: is not UTF-8`}},
		{"a quote in the middle", "email,role\na@x.de,or\"g\nb@x.de,\n", []string{
			`  2  ! not CSV: bare " in non-quoted-field`,
			`  3 {"email_address":"b@x.de","role":"org:member"}`,
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			rows, err := read(tt.text)
			require.NoError(t, err)
			assert.Equal(t, tt.want, shown(rows))
		})
	}
}

func TestReadRowsGivesUp(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, text, want string
		rows             int
	}{
		{"empty", "", "the file is empty", 0},
		{"blank", "\n\n", "the file is empty", 0},
		{"unknown column", "email,colour\n", `column 2: "colour" is not known`, 0},
		{"nameless column", "email,,role\n", "column 2: it has no name", 0},
		{"metadata without a key", "email,public.\n", `column 2: "public." is not known`, 0},
		{"twice", "email,role,Role\n", "column 3: there are two columns for role", 0},
		{"twice by another name", "email,email_address\n", "column 2: there are two columns for email", 0},
		{"twice as JSON", "email,public.a,Public.a:json\n", "column 3: there are two columns for public.a", 0},
		{"no addresses", "role,notify\n", "there is no column named email", 0},
		{"semicolons", "email;role\n", "separated by commas", 0},
		{"bad header", "em\"ail\n", "bare", 0},
		{"a quote never closed", "email,role\na@x.de,\n\"b@x.de,\nc@x.de,\n", "line 3: a quote is opened here", 1},
		{"a quote closed by that of another row", "email,role\n\"a@x.de,\n\"b@x.de\",\n", "line 2: a quote is opened here", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			rows, err := read(tt.text)
			assert.ErrorContains(t, err, tt.want)
			assert.Len(t, rows, tt.rows)
		})
	}
}

func TestReadFileNamesIt(t *testing.T) {
	t.Parallel()
	for _, err := range readFile("nowhere.csv", "") {
		assert.ErrorContains(t, err, "nowhere.csv")
	}
}

// FuzzReadRows checks that no file is too odd, that lines only go forward, and that
// what is written about a row is recognized as being about it.
func FuzzReadRows(f *testing.F) {
	f.Add("\xEF\xBB\xBFemail,role\r\na@x.de,\r\n\r\n\"b\nc\",\"\"\n")
	f.Add("Email,public.a:json,private.b\na@x.de,[1],\xff\nx\n")
	f.Add("email\n\"\r\n")
	f.Fuzz(func(t *testing.T, text string) {
		rows, _ := read(text)
		last, path := 0, t.TempDir()+"/results.csv"
		results, err := openResults(path, "org_1", start, start)
		require.NoError(t, err)
		for _, in := range rows {
			require.Greater(t, in.line, last)
			last = in.line
			require.NoError(t, results.add(result{line: in.line, email: in.params.EmailAddress, outcome: clerkorg.OutcomeInvited}))
		}
		require.NoError(t, results.close())
		written, err := readResults(path)
		require.NoError(t, err)
		require.Len(t, written.decided, len(rows))
		for _, in := range rows {
			ok, err := written.has(in)
			require.NoError(t, err)
			require.True(t, ok)
		}
	})
}
