package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/clerkorg/clerkorg-go"
	"github.com/clerkorg/clerkorg-go/cmd/clerkorg/internal/people"
	"github.com/clerkorg/clerkorg-go/cmd/clerkorg/internal/table"
)

// importer is the command that invites the people of a file.
type importer struct {
	*app
	path          string
	results       string
	sheet         string
	columns       people.Options
	dryRun        bool
	bulkOnly      bool
	retryRejected bool
	maxRejected   int
}

func (a *app) importCommand() *cobra.Command {
	im := &importer{app: a}
	cmd := &cobra.Command{
		Use:   "import FILE",
		Short: "Invite all people in a file, each exactly once",
		Long: `Invites all people in FILE, which is CSV or .xlsx, or in standard input where FILE
is -, as fast as Clerk's quotas allow: 750 people an hour.

The separator and the encoding are found by themselves, and the columns by their
names: email (e-mail, email address, mail, user email), role, inviter_user_id,
redirect_url, expires_in_days, notify, public.NAME and private.NAME for metadata
(public.NAME:json for JSON). Others are named once, and ignored.

The results file has the columns of FILE and outcome, invitation_id, code and
message, in the order of FILE. The outcomes are invited, already_invited,
already_member, duplicate and rejected. A run that ends early, however it ends, goes
on with the same command; what is needed for that is in a file beside the results,
whose name ends in .run. A rejected row that is corrected in FILE is tried again.

` + exitCodes,
		Example: `  clerkorg import people.csv --org org_… --dry-run
  clerkorg import people.csv --org org_…
  clerkorg import --demo`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 && !a.demo {
				return wrongUse("which file? Give its name, or - for standard input")
			}
			if len(args) > 1 {
				return wrongUse("one file at a time: %q is too much", args[1])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			im.columns.NoRole = cmd.Flags().Changed("role-column") && im.columns.RoleColumn == ""
			im.columns.Role = clerkorg.Role(a.role)
			if len(args) > 0 {
				im.path = args[0]
			}
			return im.run(cmd.Context())
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&im.results, "results", "", "file for the results; by default beside FILE, people.results.csv for people.csv")
	flags.StringVar(&im.sheet, "sheet", "", "sheet of an .xlsx file; by default the first one")
	flags.StringVar(&im.columns.EmailColumn, "email-column", "", "column with the addresses: its name, or its number from 1")
	flags.StringVar(&im.columns.RoleColumn, "role-column", "", "column with the roles; empty for none")
	flags.BoolVar(&im.columns.Strict, "strict", false, "refuse columns that are not known")
	flags.BoolVar(&im.dryRun, "dry-run", false, "check the file, tell what would be done and how long it takes, and send nothing")
	flags.BoolVar(&im.bulkOnly, "bulk-only", false, "use the bulk call alone, and leave the single one to others: 500 people an hour")
	flags.BoolVar(&im.retryRejected, "retry-rejected", false, "try rows again that an earlier run has rejected")
	flags.IntVar(&im.maxRejected, "max-rejected", 0, "end once Clerk has rejected so many; 0 for never")
	return cmd
}

// run checks the command line and does what it says.
func (im *importer) run(ctx context.Context) error {
	var conn *connection
	var err error
	switch {
	case im.maxRejected < 0:
		return wrongUse("--max-rejected must not be negative")
	case !im.dryRun || im.demo || im.haveKey() && im.organization != "":
		if conn, err = im.connect(); err != nil {
			return err
		}
	}
	if im.demo {
		remove, err := im.prepareDemo(conn)
		defer remove()
		if err != nil {
			return err
		}
	}
	if err := im.nameResults(); err != nil {
		return err
	}
	list, err := im.open()
	if err != nil {
		return exitError{exitWrongUse, fmt.Errorf("%s: %w", im.path, err)}
	}
	defer list.Close()
	im.tell("%s: %s", im.path, list.Describe())
	if im.dryRun {
		return im.rehearse(ctx, conn, list)
	}
	return im.invite(ctx, conn, list)
}

func (im *importer) haveKey() bool {
	_, set := os.LookupEnv("CLERK_SECRET_KEY")
	return set || im.keyFile != ""
}

// nameResults finds a name for the results.
func (im *importer) nameResults() error {
	if im.results == "" {
		base := im.path
		if base == "-" {
			base = "stdin"
		}
		im.results = strings.TrimSuffix(base, filepath.Ext(base)) + ".results.csv"
	}
	if extension := strings.ToLower(filepath.Ext(im.results)); extension == ".xlsx" || extension == ".xls" {
		return wrongUse("--results: the results are CSV; give a name that ends in .csv")
	}
	input, err := os.Stat(im.path)
	if err != nil {
		return nil //nolint:nilerr // whatever is wrong shows when it is opened
	}
	if output, err := os.Stat(im.results); err == nil && os.SameFile(input, output) {
		return wrongUse("--results: %s is the input", im.results)
	}
	return nil
}

// open opens the file.
func (im *importer) open() (*people.List, error) {
	options := table.Options{Sheet: im.sheet}
	var file *table.File
	var err error
	if im.path == "-" {
		file, err = table.Read(im.in, options)
	} else {
		file, err = table.Open(im.path, options)
	}
	if err != nil {
		return nil, err
	}
	list, err := people.New(file, im.columns)
	if err != nil {
		_ = file.Close()
		return nil, err
	}
	return list, nil
}
