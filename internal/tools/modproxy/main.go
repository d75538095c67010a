// Command modproxy packs modules of the checkout into a folder that serves as a GOPROXY,
// as if they were tagged:
//
//	go run ./internal/tools/modproxy -o FOLDER -version v1.2.3 . ./redislimit
//	GOPROXY=file://FOLDER,$(go env GOPROXY) go install ...
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
	"golang.org/x/mod/zip"
)

func main() {
	out := flag.String("o", "", "the `folder` to write to")
	version := flag.String("version", "", "the `version` of all the modules")
	flag.Parse()
	if *out == "" || *version == "" || flag.NArg() == 0 {
		flag.Usage()
		os.Exit(2)
	}
	for _, dir := range flag.Args() {
		packed, err := pack(*out, *version, dir)
		if err != nil {
			fmt.Fprintln(os.Stderr, "modproxy:", dir+":", err)
			os.Exit(1)
		}
		fmt.Println(packed)
	}
}

// pack writes the four files by which a proxy serves a version of the module in a folder:
// the list of its versions, what the version is, its go.mod, and its files.
func pack(out, version, dir string) (module.Version, error) {
	gomod, err := os.ReadFile(filepath.Join(dir, "go.mod")) //nolint:gosec // the folder is an argument
	if err != nil {
		return module.Version{}, err
	}
	mod := module.Version{Path: modfile.ModulePath(gomod), Version: version}
	if err := module.Check(mod.Path, mod.Version); err != nil {
		return mod, err
	}
	info, err := json.Marshal(map[string]any{"Version": version, "Time": time.Now().UTC()})
	if err != nil {
		return mod, err
	}
	escaped, err := module.EscapePath(mod.Path)
	if err != nil {
		return mod, err
	}
	folder := filepath.Join(out, filepath.FromSlash(escaped), "@v")
	return mod, errors.Join(
		os.MkdirAll(folder, 0o750),
		os.WriteFile(filepath.Join(folder, "list"), []byte(version+"\n"), 0o600),
		os.WriteFile(filepath.Join(folder, version+".info"), info, 0o600),
		os.WriteFile(filepath.Join(folder, version+".mod"), gomod, 0o600), //nolint:gosec // the folders are arguments
		writeZip(filepath.Join(folder, version+".zip"), func(w io.Writer) error {
			return zip.CreateFromDir(w, mod, dir)
		}),
	)
}

func writeZip(name string, write func(io.Writer) error) error {
	file, err := os.Create(name) //nolint:gosec // the folder is an argument
	if err != nil {
		return err
	}
	return errors.Join(write(file), file.Close())
}
