package main

import (
	"archive/zip"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestPack(t *testing.T) {
	t.Parallel()
	dir, out := t.TempDir(), t.TempDir()
	for name, content := range map[string]string{
		"go.mod":           "module example.com/Our/thing\n",
		"thing.go":         "package thing\n",
		"internal/in.go":   "package internal\n",
		"nested/go.mod":    "module example.com/Our/thing/nested\n",
		"nested/nested.go": "package nested\n",
		".git/config":      "[core]\n",
	} {
		write(t, filepath.Join(dir, name), content)
	}

	mod, err := pack(out, "v1.2.3", dir)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := mod.String(), "example.com/Our/thing@v1.2.3"; got != want {
		t.Errorf("packed %s, want %s", got, want)
	}
	folder := filepath.Join(out, "example.com", "!our", "thing", "@v")
	if got := read(t, filepath.Join(folder, "list")); got != "v1.2.3\n" {
		t.Errorf("the list of versions is %q", got)
	}
	if got := read(t, filepath.Join(folder, "v1.2.3.mod")); got != "module example.com/Our/thing\n" {
		t.Errorf("the go.mod is %q", got)
	}
	packed, err := zip.OpenReader(filepath.Join(folder, "v1.2.3.zip"))
	if err != nil {
		t.Fatal(err)
	}
	defer packed.Close()
	var names []string
	for _, file := range packed.File {
		names = append(names, file.Name)
	}
	slices.Sort(names)
	want := []string{
		"example.com/Our/thing@v1.2.3/go.mod",
		"example.com/Our/thing@v1.2.3/internal/in.go",
		"example.com/Our/thing@v1.2.3/thing.go",
	}
	if !slices.Equal(names, want) {
		t.Errorf("the zip holds %q, want %q", names, want)
	}
}

func TestPackRefuses(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ gomod, version string }{
		"no module path":            {"go 1.26\n", "v1.2.3"},
		"a version without its v":   {"module example.com/thing\n", "1.2.3"},
		"another major version":     {"module example.com/thing\n", "v2.0.0"},
		"what is no module":         {"", "v1.2.3"},
		"a path without a host":     {"module thing\n", "v1.2.3"},
		"a major version not named": {"module example.com/thing/v2\n", "v1.2.3"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if test.gomod != "" {
				write(t, filepath.Join(dir, "go.mod"), test.gomod)
			}
			if mod, err := pack(t.TempDir(), test.version, dir); err == nil {
				t.Errorf("packed %s", mod)
			}
		})
	}
}

func write(t *testing.T, name, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}
