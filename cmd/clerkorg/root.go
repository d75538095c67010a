package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"github.com/clerkorg/clerkorg-go"
)

func (a *app) rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "clerkorg",
		Short: "Invite people into a Clerk organization",
		Long: `clerkorg invites people into an organization of Clerk: those of a file, thousands
of them over hours, each exactly once, or a few given as arguments.

The secret key comes from CLERK_SECRET_KEY or from --key-file, and is never an
argument. --demo needs none: it runs a Clerk in memory, whose hour lasts 6 s.

` + exitCodes,
		Version:       clerkorg.Version,
		SilenceErrors: true,
		SilenceUsage:  true,
		PersistentPreRunE: func(*cobra.Command, []string) error {
			a.started = true
			if a.verbose && a.quiet {
				return wrongUse("give either --verbose or --quiet")
			}
			return nil
		},
	}
	flags := root.PersistentFlags()
	flags.StringVar(&a.organization, "org", os.Getenv("CLERK_ORGANIZATION_ID"), "id of the organization; by default $CLERK_ORGANIZATION_ID")
	flags.StringVar(&a.apiURL, "api-url", "", "base URL of the API; by default $CLERK_API_URL, or Clerk's own")
	flags.StringVar(&a.keyFile, "key-file", "", "file with the secret key; by default it is $CLERK_SECRET_KEY")
	flags.StringVar(&a.role, "role", string(clerkorg.RoleMember), "role of the people for whom no other one is given")
	flags.BoolVar(&a.demo, "demo", false, "use an in-memory Clerk with a sped-up clock: no key, and no e-mail is sent")
	flags.BoolVarP(&a.verbose, "verbose", "v", false, "log every call to standard error")
	flags.BoolVarP(&a.quiet, "quiet", "q", false, "write nothing but errors, and what a command is asked for")
	root.SetVersionTemplate("clerkorg {{.Version}}\n")
	root.AddCommand(a.importCommand(), a.inviteCommand(), a.listCommand(), a.resendCommand(), a.revokeCommand(), a.quotaCommand(), a.manCommand())
	return root
}

// manCommand writes the manual pages.
func (a *app) manCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "man DIRECTORY",
		Short: "Write the manual pages into a directory",
		Args:  exactly(1, "a directory"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := os.MkdirAll(args[0], 0o755); err != nil { //nolint:gosec // manual pages are for everyone
				return err
			}
			return doc.GenManTree(cmd.Root(), &doc.GenManHeader{Title: "CLERKORG", Section: "1", Source: "clerkorg " + clerkorg.Version}, args[0])
		},
	}
}

// exactly is the arguments of a command that takes so many, and says what they are.
func exactly(n int, what string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		switch {
		case len(args) < n:
			return wrongUse("which one? Give %s", what)
		case len(args) > n:
			return wrongUse("%q is too much: give %s", args[n], what)
		}
		return nil
	}
}

// commandLine is how to run this command again.
func (a *app) commandLine() string {
	args := append([]string{program(a.args[0])}, a.args[1:]...)
	for i, arg := range args {
		if i > 0 && (arg == "" || strings.ContainsFunc(arg, needsQuotes)) {
			args[i] = "'" + strings.ReplaceAll(arg, "'", `'\''`) + "'"
		}
	}
	return strings.Join(args, " ")
}

// program is how to start this program again.
func program(name string) string {
	if strings.Contains(filepath.ToSlash(name), "/go-build") { // go run's, gone when it ends
		return "go run ./cmd/clerkorg"
	}
	if strings.ContainsFunc(name, needsQuotes) {
		return fmt.Sprintf("%q", name)
	}
	return name
}

func needsQuotes(r rune) bool {
	return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=:,./@%", r)
}

// useColor reports whether lines on a terminal may have colors.
func useColor() bool { return os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" }
