package people

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/clerkorg/clerkorg-go"
	"github.com/clerkorg/clerkorg-go/cmd/clerkorg/internal/table"
)

func TestRows(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, text string
		options    Options
		want       []string
	}{
		{name: "nothing but a header", text: "email\n"},
		{name: "byte order mark and quotes", text: "\xEF\xBB\xBF\"email\"\na@x.de\n", want: []string{`2 {"email_address":"a@x.de","role":"org:member"}`}},
		{name: "blank lines", text: "\n\nemail,role\n\n,\n  \na@x.de,\n", want: []string{`7 {"email_address":"a@x.de","role":"org:member"}`}},
		{name: "blanks around", text: " Email_Address , ROLE\n a@x.de , org:admin \n", want: []string{`2 {"email_address":"a@x.de","role":"org:admin"}`}},
		{name: "blanks before quotes", text: "email, role\n\"a@x.de\", \"org:admin\" \n", want: []string{`2 {"email_address":"a@x.de","role":"org:admin"}`}},
		{name: "short and long rows", text: "email,role,team\na@x.de\nb@x.de,org:admin,,,\n", want: []string{
			`2 {"email_address":"a@x.de","role":"org:member"}`,
			`3 {"email_address":"b@x.de","role":"org:admin"}`,
		}},
		{name: "every column", text: "notify,Expires in days,redirect_url,inviter-user-id,role,email\nFALSE,30,/in,user_1,org:x,a@x.de\n", want: []string{
			`2 {"email_address":"a@x.de","role":"org:x","inviter_user_id":"user_1","redirect_url":"/in","expires_in_days":30,"notify":false}`,
		}},
		{name: "metadata", text: "email,public.Team,Private.n,public.n:json,public.tags:JSON\n" + `a@x.de,"north, ""2""",007,12,x` + "\n" + `b@x.de,,,"[1,true]",` + "\n", want: []string{
			`2 {"email_address":"a@x.de","role":"org:member","public_metadata":{"Team":"north, \"2\"","n":12,"tags:JSON":"x"},"private_metadata":{"n":"007"}}`,
			`3 {"email_address":"b@x.de","role":"org:member","public_metadata":{"n":[1,true]}}`,
		}},
		{name: "lines within quotes", text: "email,public.note\na@x.de,\"one\ntwo\"\nb@x.de,\n", want: []string{
			`2 {"email_address":"a@x.de","role":"org:member","public_metadata":{"note":"one\ntwo"}}`,
			`4 {"email_address":"b@x.de","role":"org:member"}`,
		}},
		{name: "bad cells", text: "email,expires_in_days,notify,public.n:json\na@x.de,0,maybe,{\n,7,,\nc@x.de,7,,\n", want: []string{
			`2 ! column expires_in_days: must be a number of days, 1 to 365, or empty; column notify: must be true, false or empty; column public.n:json: must be JSON or empty`,
			`3 ! column email: there is no address: fill it in, or delete the row`,
			`4 {"email_address":"c@x.de","role":"org:member","expires_in_days":7}`,
		}},
		{name: "a quote in the middle is one", text: "email,public.nick\na@x.de,The \"A\"\n", want: []string{
			`2 {"email_address":"a@x.de","role":"org:member","public_metadata":{"nick":"The \"A\""}}`,
		}},
		{name: "a quote that the next row closes", text: "email,role\n\"a@x.de,\n\"b@x.de\",\n", want: []string{
			`2 ! a quotation mark opens cell 1 and none closes it where a cell ends: add it, or double those within the cell`,
			`3 {"email_address":"b@x.de","role":"org:member"}`,
		}},
		{name: "a quote in a row of two lines", text: "email,public.a,public.b\na@x.de,\"1\n2\",\"3\nb@x.de,,\nc@x.de,,\n", want: []string{
			`2 ! a quotation mark opens cell 3 and none closes it where a cell ends: add it, or double those within the cell`,
			`4 {"email_address":"b@x.de","role":"org:member"}`,
			`5 {"email_address":"c@x.de","role":"org:member"}`,
		}},
		{name: "a quote open for too long", text: "email,public.a\na@x.de,\"\n" + strings.Repeat("p@x.de,\n", 50_000), want: nil},
		{name: "columns by name", text: "Mail,E-Mail,Job\na@x.de,b@x.de,org:x\n", options: Options{EmailColumn: "e-mail", RoleColumn: "JOB"}, want: []string{
			`2 {"email_address":"b@x.de","role":"org:x"}`,
		}},
		{name: "columns by number", text: "a@x.de,b@x.de,org:x\n", options: Options{EmailColumn: "2", RoleColumn: "3"}, want: []string{
			`1 {"email_address":"b@x.de","role":"org:x"}`,
		}},
		{name: "roles that are none", text: "email,role\na@x.de,Boss\n", options: Options{NoRole: true}, want: []string{`2 {"email_address":"a@x.de","role":"org:member"}`}},
		{name: "a semicolon in the header of a list with commas", text: "email,a;b;c\na@x.de,1;2;3\n", want: []string{`2 {"email_address":"a@x.de","role":"org:member"}`}},
		{name: "a remark without a blank line is a row", text: "email,role\na@x.de,\nThe end\n", want: []string{
			`2 {"email_address":"a@x.de","role":"org:member"}`,
			`3 {"email_address":"The end","role":"org:member"}`,
		}},
		{name: "a remark before more rows is a row", text: "email,role\n\nTeam A\n\na@x.de,\n", want: []string{
			`3 {"email_address":"Team A","role":"org:member"}`,
			`5 {"email_address":"a@x.de","role":"org:member"}`,
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.options.Role = clerkorg.RoleMember
			list, err := listOf(t, tt.text, tt.options)
			require.NoError(t, err)
			var all []string
			for row, err := range list.All() {
				require.NoError(t, err)
				body, err := json.Marshal(row.Params)
				text := string(body)
				if err != nil {
					text = err.Error()
				}
				if row.Fault != "" {
					text = "! " + row.Fault
				}
				all = append(all, fmt.Sprintf("%d %s", row.Line, text))
			}
			if tt.name == "a quote open for too long" {
				require.Len(t, all, 50_001)
				return
			}
			assert.Equal(t, tt.want, all)
		})
	}
}

func TestNotAList(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, text, want string
		options          Options
	}{
		{name: "empty", want: "the file is empty"},
		{name: "blank", text: "\n\n", want: "the file is empty"},
		{name: "no addresses", text: "Name,Telephone\nAda,1\n", want: `line 1: no column is named email, and no cell of the first row is an address; the columns are "Name", "Telephone": give --email-column`},
		{name: "two of them", text: "E-Mail,Mail\n", want: `columns 1 ("E-Mail") and 2 ("Mail") may both be the one for email: choose one by its number, with --email-column`},
		{name: "two in a list without a header", text: "a@x.de,b@x.de\n", want: "more than one cell is an address"},
		{name: "no such column", text: "Mail,Name\n", options: Options{EmailColumn: "Adresse"}, want: `--email-column: no column is named "Adresse"; the columns are "Mail", "Name"`},
		{name: "no such number", text: "Mail,Name\n", options: Options{EmailColumn: "3"}, want: `no column is named "3"`},
		{name: "no such role", text: "Mail,Name\n", options: Options{RoleColumn: "Job"}, want: `--role-column: no column is named "Job"`},
		{name: "strict", text: "Mail,Colour\n", options: Options{Strict: true}, want: `no column is known by these names: "Colour"; --strict refuses them`},
		{name: "twice as JSON", text: "email,public.a,Public.a:json\n", want: "columns 2 and 3 are both for public.a"},
		{name: "bad header", text: "\"em\"ail\n", want: "line 1: a quotation mark opens cell 1"},
		{name: "old Excel", text: "\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1", want: "this is an .xls file, or a workbook with a password: save it"},
		{name: "no workbook", text: "PK\x03\x04 a zip file of some kind", want: "no .xlsx workbook"},
		{name: "PDF", text: "%PDF-1.7", want: "this is a PDF file"},
		{name: "a line without an end", text: strings.Repeat("x", 2<<20), want: "line 1 has more than"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := listOf(t, tt.text, tt.options)
			assert.ErrorContains(t, err, tt.want)
		})
	}
	_, err := table.Open("testdata/excel.xlsx", table.Options{Sheet: "Friends"})
	assert.ErrorContains(t, err, `the workbook has no sheet "Friends"; it has ["Team" "Guests"]`)
	_, err = table.Open("testdata/list.txt", table.Options{Sheet: "Team"})
	assert.ErrorContains(t, err, "there are sheets in .xlsx files only")
	_, err = table.Open("testdata", table.Options{})
	assert.ErrorContains(t, err, "is a directory")
}

// TestKey checks what makes a row another one: what is sent, and nothing else.
func TestKey(t *testing.T) {
	t.Parallel()
	keyOf := func(text string, role clerkorg.Role) uint64 {
		list, err := listOf(t, text, Options{Role: role})
		require.NoError(t, err)
		for row, err := range list.All() {
			require.NoError(t, err)
			return row.Key
		}
		return 0
	}
	key := keyOf("email,role,name\na@x.de,,Ada\n", "org:member")
	assert.Equal(t, key, keyOf("email;role;name\na@x.de;;Lovelace\n", "org:member"))
	assert.NotEqual(t, key, keyOf("email,role,name\nb@x.de,,Ada\n", "org:member"))
	assert.NotEqual(t, key, keyOf("email,role,name\na@x.de,org:x,Ada\n", "org:member"))
	assert.NotEqual(t, key, keyOf("email,role,name\na@x.de,,Ada\n", "org:admin"))
}

func TestExplain(t *testing.T) {
	t.Parallel()
	list, err := listOf(t, "Work Mail,public.a\n", Options{EmailColumn: "Work Mail", Role: "org:member"})
	require.NoError(t, err)
	assert.Equal(t, "column Work Mail: 1; --role: 2; column public.a: 3; notify: 4", list.Explain([]clerkorg.Problem{
		{Field: "email_address", Message: "1"}, {Field: "role", Message: "2"}, {Field: "public_metadata", Message: "3"}, {Field: "notify", Message: "4"},
	}))
}

// FuzzList checks that no file is too odd, that lines only go forward, and that every
// line of a text is in one row at most.
func FuzzList(f *testing.F) {
	f.Add("\xEF\xBB\xBFemail,role\r\na@x.de,\r\n\r\n\"b\nc\",\"\"\n")
	f.Add("Email;public.a:json;private.b\na@x.de;[1];\xff\nx\n")
	f.Add("email\n\"\r\n\"a\"\"\n")
	f.Add("sep=\t\nemail\tx\n\"a\n\tb\"c\n")
	f.Add("\xff\xfee\x00m\x00a\x00i\x00l\x00\n\x00\"\x00")
	f.Fuzz(func(t *testing.T, text string) {
		if strings.HasPrefix(text, "PK\x03\x04") {
			return // the library's
		}
		file, err := table.Read(strings.NewReader(text), table.Options{})
		if err != nil {
			return
		}
		defer file.Close()
		list, err := New(file, Options{Role: "org:member"})
		if err != nil {
			return
		}
		last, index := 0, 0
		for row, err := range list.All() {
			if err != nil {
				return
			}
			require.Greater(t, row.Line, last)
			require.Equal(t, index, row.Index)
			require.Len(t, row.Cells, len(list.Names))
			last = row.Line
			index++
		}
	})
}
