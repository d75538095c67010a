// Command importcsv invites the people of a CSV file, with an address and a role in
// each row, into an organization. It goes on where it was killed when it is started
// again. The command in cmd/clerkorg does the same for what spreadsheets write.
//
//	go run ./examples/importcsv -demo
//	CLERK_SECRET_KEY=sk_… go run ./examples/importcsv -org org_… people.csv
package main

import (
	"context"
	"encoding/csv"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"slices"
	"strings"

	"github.com/clerkorg/clerkorg-go"
	"github.com/clerkorg/clerkorg-go/clerktest"
)

func main() {
	organization := flag.String("org", os.Getenv("CLERK_ORGANIZATION_ID"), "`id` of the organization")
	demo := flag.Bool("demo", false, "invite made-up people into an in-memory Clerk")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	var err error
	if *demo {
		server := clerktest.NewServer()
		err = run(ctx, server.SecretKey(), server.URL(), server.OrganizationID(),
			strings.NewReader("ada@example.com,org:admin\nalan,\nADA@example.com,\n"), os.Stdout)
		server.Close()
	} else {
		var file *os.File
		if file, err = os.Open(flag.Arg(0)); err == nil {
			err = run(ctx, os.Getenv("CLERK_SECRET_KEY"), clerkorg.DefaultBaseURL, *organization, file, os.Stdout)
		}
	}
	if err != nil {
		stop()
		log.Fatal(err) // the same command goes on from here
	}
}

// run invites the people of a table, and writes a line for each when it is decided.
func run(ctx context.Context, key, url, organization string, table io.Reader, out io.Writer) error {
	client, err := clerkorg.NewClient(key, clerkorg.WithBaseURL(url))
	if err != nil {
		return err
	}
	rows, err := csv.NewReader(table).ReadAll()
	if err != nil {
		return err
	}
	people := make([]clerkorg.CreateInvitationParams, len(rows))
	for i, row := range rows {
		people[i] = clerkorg.CreateInvitationParams{EmailAddress: row[0], Role: clerkorg.RoleMember}
		if len(row) > 1 && row[1] != "" {
			people[i].Role = clerkorg.Role(row[1])
		}
	}
	for result, err := range client.Organizations.InviteAll(ctx, organization, slices.Values(people), nil) {
		if err != nil {
			return err
		}
		fmt.Fprintln(out, result.Index+1, result.Params.EmailAddress, result.Outcome, result.Err)
	}
	return nil
}
