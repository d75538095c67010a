package table

import (
	"encoding/binary"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestDetect(t *testing.T) {
	t.Parallel()
	wide := func(order binary.AppendByteOrder, text string) string {
		var out []byte
		for _, r := range text {
			out = order.AppendUint16(out, uint16(r)) //nolint:gosec // ASCII
		}
		return string(out)
	}
	for _, tt := range []struct{ name, text, want string }{
		{"ASCII", "a,b\n", "UTF-8"},
		{"UTF-8 across a block", strings.Repeat("a", 64<<10-1) + "ü", "UTF-8"},
		{"UTF-8, cut off at the end", "ü\xC3", "UTF-8"},
		{"UTF-8, but for some", "üüü\xFC", "UTF-8"},
		{"Windows-1252 after a block", strings.Repeat("a", 70<<10) + "\xFC", "Windows-1252"},
		{"Windows-1252 at the end", "M\xFC", "Windows-1252"},
		{"UTF-16 LE without a mark", wide(binary.LittleEndian, "email\na@x.de\n"), "UTF-16 LE"},
		{"UTF-16 BE without a mark", wide(binary.BigEndian, "email\na@x.de\n"), "UTF-16 BE"},
	} {
		set, err := detect(strings.NewReader(tt.text))
		require.NoError(t, err)
		assert.Equal(t, tt.want, set.name, tt.name)
	}
	set, err := detect(strings.NewReader(wide(binary.LittleEndian, "a@x.de")))
	require.NoError(t, err)
	text, err := io.ReadAll(set.decode(strings.NewReader(wide(binary.LittleEndian, "a@x.de"))))
	require.NoError(t, err)
	assert.Equal(t, "a@x.de", string(text))
}

func TestSeparator(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]rune{
		"email":                            ',',
		"email;name":                       ';',
		"email\tname, given\na@x.de\tA\n":  '\t',
		"email;name, given\na@x.de;B, A":   ';',
		"name, given;email\nB, A;a@x.de":   ';',
		"\"a;b;c\",email\n\"1\",a@x.de":    ',',
		"\"sep=|\"\nemail|x;y;z\n":         '|',
		"SEP=;\r\nemail;name\r\n":          ';',
		"email,team\na@x.de,A;B;C;D;E;F\n": ',',
	} {
		file, err := Read(strings.NewReader(text), Options{})
		require.NoError(t, err)
		assert.Equal(t, string(want), string(file.Comma), "%q", text)
		require.NoError(t, file.Close())
	}
}

// TestNothingStays checks that what came through a pipe is not left in a file.
func TestNothingStays(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	file, err := Read(strings.NewReader("a@x.de\n"), Options{})
	require.NoError(t, err)
	rows := 0
	for _, err := range file.Rows() {
		require.NoError(t, err)
		rows++
	}
	assert.Equal(t, 1, rows)
	require.NoError(t, file.Close())
	left, err := os.ReadDir(os.TempDir())
	require.NoError(t, err)
	assert.Empty(t, left)
}
