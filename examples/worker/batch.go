package main

import (
	"context"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"github.com/clerkorg/clerkorg-go"
)

// InviteBatch is a job: at most ten people, to be invited with one call.
type InviteBatch struct {
	OrganizationID string   `json:"organization_id"`
	People         []Person `json:"people"`

	// Key stands for the organization and the addresses, in whatever order and
	// case. It alone makes the job unique; what else is in the job may differ.
	Key string `json:"key" river:"unique"`
}

// Person is a person to be invited.
type Person struct {
	EmailAddress string        `json:"email_address"`
	Role         clerkorg.Role `json:"role"`
}

// Kind is River's name for the job.
func (InviteBatch) Kind() string { return "invite_batch" }

// InsertOpts makes jobs unique. Completed jobs count, for as long as they are
// kept: a file that is enqueued twice is worked once. Cancelled and discarded ones
// do not: when their reason no longer holds, the same people may be enqueued again.
func (InviteBatch) InsertOpts() river.InsertOpts {
	return river.InsertOpts{UniqueOpts: river.UniqueOpts{
		ByArgs: true,
		ByState: []rivertype.JobState{
			rivertype.JobStateAvailable,
			rivertype.JobStateCompleted,
			rivertype.JobStatePending,
			rivertype.JobStateRetryable,
			rivertype.JobStateRunning,
			rivertype.JobStateScheduled,
		},
	}}
}

func newBatch(organizationID string, people []Person) InviteBatch {
	lines := []string{organizationID}
	for _, p := range people {
		lines = append(lines, fold(p.EmailAddress))
	}
	slices.Sort(lines[1:])
	sum := sha256.Sum256([]byte(strings.Join(lines, "\n")))
	return InviteBatch{OrganizationID: organizationID, People: people, Key: hex.EncodeToString(sum[:])}
}

// fold makes addresses that are the same to Clerk the same text.
func fold(address string) string { return clerkorg.AddressKey(strings.TrimSpace(address)) }

// enqueued is what enqueuing a list of people has done.
type enqueued struct {
	people, repeated int // repeated: lines with an address that an earlier one has
	jobs, known      int // known: batches that were enqueued before
}

// enqueue inserts a job for every ten people. The same list gives the same
// batches, so that one cut off halfway can be enqueued again.
func enqueue(ctx context.Context, jobs queue, organizationID string, people []Person) (enqueued, error) {
	seen := map[string]bool{}
	unique := slices.DeleteFunc(slices.Clone(people), func(p Person) bool {
		known := seen[fold(p.EmailAddress)]
		seen[fold(p.EmailAddress)] = true
		return known
	})
	done := enqueued{people: len(unique), repeated: len(people) - len(unique)}
	var params []river.InsertManyParams
	for some := range slices.Chunk(unique, clerkorg.MaxBulkInvitations) {
		params = append(params, river.InsertManyParams{Args: newBatch(organizationID, some)})
	}
	for some := range slices.Chunk(params, 1000) { // of one statement
		results, err := jobs.InsertMany(ctx, some)
		if err != nil {
			return done, fmt.Errorf("enqueue: %w", err)
		}
		for _, r := range results {
			if r.UniqueSkippedAsDuplicate {
				done.known++
			} else {
				done.jobs++
			}
		}
	}
	return done, nil
}

func enqueueFile(ctx context.Context, jobs queue, out io.Writer, name, organizationID string) error {
	file, err := os.Open(name) //nolint:gosec // named on the command line
	if err != nil {
		return err
	}
	defer file.Close()
	people, err := readPeople(file)
	if err != nil {
		return err
	}
	done, err := enqueue(ctx, jobs, organizationID, people)
	if err != nil {
		return err
	}
	done.print(out)
	return nil
}

func (e enqueued) print(out io.Writer) {
	fmt.Fprintf(out, "%d people (%d lines repeat one) make %d jobs; %d batches were enqueued before\n", e.people, e.repeated, e.jobs, e.known)
}

// readPeople reads an address and, if there is one, a role from each line. A
// first line without an address is a heading. Invalid addresses are left for the worker
// to reject: one bad line does not hold up the others.
func readPeople(r io.Reader) ([]Person, error) {
	reader := csv.NewReader(r)
	reader.FieldsPerRecord = -1
	reader.TrimLeadingSpace = true
	var people []Person
	for line := 0; ; line++ {
		fields, err := reader.Read()
		switch {
		case errors.Is(err, io.EOF):
			return people, nil
		case err != nil:
			return nil, fmt.Errorf("read people: %w", err)
		case line == 0 && !strings.Contains(fields[0], "@"):
			continue
		}
		p := Person{EmailAddress: strings.TrimSpace(strings.TrimPrefix(fields[0], "\ufeff")), Role: clerkorg.RoleMember}
		if len(fields) > 1 && strings.TrimSpace(fields[1]) != "" {
			p.Role = clerkorg.Role(strings.TrimSpace(fields[1]))
		}
		people = append(people, p)
	}
}
