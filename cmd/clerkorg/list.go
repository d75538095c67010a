package main

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/clerkorg/clerkorg-go"
)

// formats are the ways to write a list.
var formats = map[string]func(io.Writer, iter.Seq2[clerkorg.OrganizationInvitation, error]) error{
	"table": writeTable, "json": writeJSON, "csv": writeCSV,
}

var statuses = []string{
	string(clerkorg.InvitationPending), string(clerkorg.InvitationAccepted),
	string(clerkorg.InvitationRevoked), string(clerkorg.InvitationExpired),
}

func (a *app) listCommand() *cobra.Command {
	var wanted []string
	var query, format string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the invitations of the organization, newest first",
		Long: `Lists the invitations of the organization, newest first.

` + exitCodes,
		Example: `  clerkorg list --status pending,expired
  clerkorg list --query @example.com --format csv > invitations.csv`,
		Args: exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			write, ok := formats[format]
			if !ok {
				return wrongUse("--format: there are table, json and csv, and no %q", format)
			}
			params := &clerkorg.ListInvitationsParams{}
			for _, status := range wanted {
				if !slices.Contains(statuses, status) {
					return wrongUse("--status: there are %s, and no %q", strings.Join(statuses, ", "), status)
				}
				params.Status = append(params.Status, clerkorg.InvitationStatus(status))
			}
			conn, err := a.connect()
			if err != nil {
				return err
			}
			if a.demo {
				conn.populate()
			}
			all := conn.client.Organizations.Invitations(cmd.Context(), conn.organization, params)
			return write(a.out, matching(all, query))
		},
	}
	flags := cmd.Flags()
	flags.StringSliceVar(&wanted, "status", nil, "only those that are "+strings.Join(statuses, ", ")+"; may be several, with commas")
	flags.StringVar(&query, "query", "", "only those whose address holds this text")
	flags.StringVar(&format, "format", "table", "table, json or csv")
	return cmd
}

// matching keeps the invitations whose address holds a text.
func matching(all iter.Seq2[clerkorg.OrganizationInvitation, error], query string) iter.Seq2[clerkorg.OrganizationInvitation, error] {
	query = clerkorg.AddressKey(query)
	return func(yield func(clerkorg.OrganizationInvitation, error) bool) {
		for invitation, err := range all {
			if err == nil && !strings.Contains(clerkorg.AddressKey(invitation.EmailAddress), query) {
				continue
			}
			if !yield(invitation, err) {
				return
			}
		}
	}
}

func writeTable(out io.Writer, all iter.Seq2[clerkorg.OrganizationInvitation, error]) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "E-MAIL\tROLE\tSTATUS\tCREATED\tEXPIRES\tID")
	for i, err := range all {
		if err != nil {
			return err
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", i.EmailAddress, i.Role, i.Status, dateOf(i.CreatedAt), dateOf(i.ExpiresAt), i.ID)
	}
	return table.Flush()
}

func dateOf(t clerkorg.Timestamp) string {
	if t.IsZero() {
		return "-"
	}
	return t.Local().Format(time.DateOnly)
}

func writeJSON(out io.Writer, all iter.Seq2[clerkorg.OrganizationInvitation, error]) error {
	separator := "[\n"
	for i, err := range all {
		if err != nil {
			return err
		}
		text, err := json.Marshal(i)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(out, "%s  %s", separator, text); err != nil {
			return err
		}
		separator = ",\n"
	}
	if separator == "[\n" {
		_, err := fmt.Fprintln(out, "[]")
		return err
	}
	_, err := fmt.Fprintln(out, "\n]")
	return err
}

func writeCSV(out io.Writer, all iter.Seq2[clerkorg.OrganizationInvitation, error]) error {
	w := csv.NewWriter(out)
	_ = w.Write([]string{"email_address", "role", "status", "created_at", "expires_at", "inviter_id", "id", "url"}) // Error returns what went wrong
	for i, err := range all {
		if err != nil {
			return err
		}
		_ = w.Write([]string{i.EmailAddress, string(i.Role), string(i.Status), timeOf(i.CreatedAt), timeOf(i.ExpiresAt), i.InviterID, i.ID, i.URL})
	}
	w.Flush()
	return w.Error()
}

func timeOf(t clerkorg.Timestamp) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}
