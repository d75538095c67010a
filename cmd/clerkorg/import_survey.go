package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/clerkorg/clerkorg-go"
	"github.com/clerkorg/clerkorg-go/cmd/clerkorg/internal/people"
)

// survey is what a first look at a file finds.
type survey struct {
	rows  int
	bad   int            // rows that cannot be sent
	noted int            // rows of which something was removed
	roles map[string]int // how many rows have a role that does not look like one
}

// told is how many lines of a kind are written where the results have them all.
const told = 20

// surveyor looks at rows one by one.
type surveyor struct {
	survey
	*app
	list   *people.List
	client *clerkorg.Client
	most   int // lines of a kind to write
}

// newSurveyor returns a surveyor for a list, that writes so many lines of a kind.
func (a *app) newSurveyor(list *people.List, most int) (*surveyor, error) {
	client, err := clerkorg.NewClient("sk_test_survey", clerkorg.WithRateLimiter(clerkorg.Unlimited()))
	if err != nil {
		return nil, err
	}
	return &surveyor{app: a, list: list, client: client, most: most, survey: survey{roles: map[string]int{}}}, nil
}

// look takes a row into account, tells what is wrong with it, and reports whether it
// can be sent.
func (s *surveyor) look(ctx context.Context, row *people.Row) bool {
	s.rows++
	if row.Note != "" {
		if s.noted++; s.noted <= s.most {
			s.tell("%s %d: %s", s.list.Unit, row.Line, row.Note)
		}
	}
	fault := row.Fault
	if fault == "" {
		fault = s.check(ctx, &row.Params)
	}
	if fault != "" {
		if s.bad++; s.bad <= s.most {
			s.tell("%s %d: %s", s.list.Unit, row.Line, fault)
		}
		return false
	}
	if role := string(row.Params.Role); !strings.HasPrefix(role, "org:") {
		s.roles[role]++
	}
	return true
}

// check says what the SDK finds wrong with an invitation. It asks for a call that
// would not be sent whatever it holds, since it has no organization.
func (s *surveyor) check(ctx context.Context, params *clerkorg.CreateInvitationParams) string {
	_, err := s.client.Organizations.CreateInvitation(ctx, "", *params)
	invalid, ok := errors.AsType[*clerkorg.ValidationError](err)
	if !ok {
		return ""
	}
	problems := slices.DeleteFunc(invalid.Problems, func(p clerkorg.Problem) bool { return p.Index < 0 })
	return s.list.Explain(problems)
}

// conclude tells what is left to tell of all rows.
func (s *surveyor) conclude() {
	for _, more := range []struct {
		n    int
		text string
	}{{s.noted - s.most, "row"}, {s.bad - s.most, "bad row"}} {
		if more.n > 0 {
			s.tell("… and %s", count(more.n, "more "+more.text))
		}
	}
	if footer := s.list.Footer(); footer != "" {
		s.tell("Not taken: %s", footer)
	}
	if len(s.roles) > 0 {
		s.tell("Roles look wrong where they do not begin with org: as in org:member: %s", s.wrongRoles())
	}
}

// wrongRoles lists the roles that look wrong.
func (s *survey) wrongRoles() string {
	const most = 10
	var texts []string
	names := slices.Sorted(maps.Keys(s.roles))
	for _, role := range names[:min(len(names), most)] {
		texts = append(texts, fmt.Sprintf("%q (%s)", role, count(s.roles[role], "row")))
	}
	if more := len(names) - most; more > 0 {
		texts = append(texts, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(texts, ", ")
}
