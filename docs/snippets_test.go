// Package docs_test compiles the Go blocks of the documentation.
package docs_test

import (
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// packages are those that a block may use without importing them, by path. The
// module of the examples requires them all.
var packages = map[string]string{
	"context": "context", "errors": "errors", "fmt": "fmt", "log": "log", "net/http": "http", "slices": "slices",
	"strconv": "strconv", "testing": "testing", "testing/synctest": "synctest", "time": "time",
	"github.com/clerk/clerk-sdk-go/v2":                        "clerk",
	"github.com/clerk/clerk-sdk-go/v2/organizationinvitation": "organizationinvitation",
	"github.com/clerkorg/clerkorg-go":                         "clerkorg",
	"github.com/clerkorg/clerkorg-go/clerkhook":               "clerkhook",
	"github.com/clerkorg/clerkorg-go/clerktest":               "clerktest",
	"github.com/stretchr/testify/require":                     "require",
	"github.com/clerkorg/clerkorg-go/clerkotel":               "clerkotel",
	"github.com/clerkorg/clerkorg-go/redislimit":              "redislimit",
	"github.com/redis/go-redis/v9":                            "redis",
}

// prelude declares the variables that the text around a block explains.
const prelude = `
var (
	ctx       context.Context
	client    *clerkorg.Client
	err       error
	people    []clerkorg.CreateInvitationParams
	addresses []string
	secretKey string
	rdb       redis.UniversalClient
	w         http.ResponseWriter
)

func invite(context.Context, *clerkorg.Client, string) {}
`

var block = regexp.MustCompile("(?ms)^```go\n(.*?)^```$")

func TestSnippetsCompile(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("../examples/go.mod"); err != nil {
		t.Skip("not in a checkout of the repository")
	}
	dependencies := newImporter(t)

	t.Run("a fault is found", func(t *testing.T) {
		assert.Empty(t, compile(dependencies, "some.md", 7, "unused := client.Organizations\n"))
		faults := compile(dependencies, "some.md", 7, "fmt.Println(ctx)\nclient.NoSuchCall()\n")
		require.Len(t, faults, 1)
		assert.ErrorContains(t, faults[0], "some.md:8: client.NoSuchCall undefined")
	})

	names, err := filepath.Glob("*.md")
	require.NoError(t, err)
	for _, name := range append(names, "../README.md", "../redislimit/README.md", "../clerkotel/README.md") {
		t.Run(filepath.Base(filepath.Dir(name))+"/"+filepath.Base(name), func(t *testing.T) {
			text, err := os.ReadFile(name)
			require.NoError(t, err)
			for _, at := range block.FindAllSubmatchIndex(text, -1) {
				line := 1 + strings.Count(string(text[:at[2]]), "\n")
				for _, fault := range compile(dependencies, name, line, string(text[at[2]:at[3]])) {
					t.Error(fault)
				}
			}
		})
	}
}

// compile type-checks a block: a whole program, declarations, or statements of a
// function that returns an error.
func compile(dependencies types.Importer, name string, line int, code string) []error {
	position := fmt.Sprintf("//line %s:%d\n", name, line)
	sources := []string{header() + prelude}
	switch {
	case strings.HasPrefix(code, "package "):
		sources = []string{position + code}
	case strings.HasPrefix(code, "func "):
		sources = append(sources, header()+position+code)
	default:
		sources = append(sources, header()+"func _() error {\n"+position+code+"\nreturn nil\n}\n")
	}
	fset := token.NewFileSet()
	var files []*ast.File
	for _, source := range sources {
		file, err := parser.ParseFile(fset, "", source, 0)
		if err != nil {
			return []error{err}
		}
		files = append(files, file)
	}
	var faults []error
	config := types.Config{Importer: dependencies, Error: func(err error) {
		if fault, ok := errors.AsType[types.Error](err); !ok || !fault.Soft { // soft: something is not used
			faults = append(faults, err)
		}
	}}
	_, _ = config.Check("snippet", fset, files, nil) // its error is the first of faults
	return faults
}

func header() string {
	var b strings.Builder
	b.WriteString("package snippet\n")
	for _, path := range slices.Sorted(maps.Keys(packages)) {
		fmt.Fprintf(&b, "import %s %q\n", packages[path], path)
	}
	return b.String()
}

// newImporter returns an importer of packages and of what they import, as the go
// command compiles them for the examples.
func newImporter(t *testing.T) types.Importer {
	t.Helper()
	args := []string{"list", "-export", "-deps", "-f", "{{.ImportPath}}={{.Export}}"}
	list := exec.CommandContext(t.Context(), "go", append(args, slices.Sorted(maps.Keys(packages))...)...) //nolint:gosec // All of it is constant.
	list.Dir = "../examples"
	list.Stderr = os.Stderr
	lines, err := list.Output()
	require.NoError(t, err)
	files := map[string]string{}
	for line := range strings.Lines(string(lines)) {
		path, file, _ := strings.Cut(strings.TrimSpace(line), "=")
		files[path] = file
	}
	return importer.ForCompiler(token.NewFileSet(), "gc", func(path string) (io.ReadCloser, error) {
		return os.Open(files[path])
	})
}
