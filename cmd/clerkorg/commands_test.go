package main

import (
	"encoding/csv"
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/clerkorg/clerkorg-go"
	"github.com/clerkorg/clerkorg-go/clerktest"
)

var ids = regexp.MustCompile(`orginv_\w+`)

// invitees are four who are invited, two of them no longer, and a member.
func invitees(server *clerktest.Server) (ids map[string]string) {
	ids = map[string]string{}
	for _, name := range []string{"alan", "barbara", "edsger", "katherine"} {
		ids[name] = server.AddInvitation(server.OrganizationID(), name+"@example.com", "org:member")
	}
	_ = server.ExpireInvitation(ids["barbara"])
	_ = server.ExpireInvitation(ids["edsger"])
	server.AddMember(server.OrganizationID(), "grace@example.com", "org:admin")
	return ids
}

func TestInvite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := clerktest.NewServer()
		options := against(t, server)
		invitees(server)
		got := runWith(t.Context(), options, "", "invite", "--role", "org:admin", "ada@example.com", "ALAN@example.com", "grace@example.com", "Ada@example.com", "nobody")
		assert.Equal(t, exitRejected, got.code)
		assert.Equal(t, `ada@example.com    invited          orginv_
ALAN@example.com   already_invited  orginv_
grace@example.com  already_member   
Ada@example.com    duplicate        of argument 1
nobody             rejected         must be a bare e-mail address, as in name@example.com
`, ids.ReplaceAllString(got.out, "orginv_"))
		assert.Equal(t, map[string]int{"ada@example.com": 1}, server.InvitedAddresses(server.OrganizationID()))

		got = runWith(t.Context(), options, "", "invite", "--role", "", "x@example.com")
		assert.Equal(t, exitRejected, got.code)
		assert.Contains(t, got.out, "rejected  --role: must not be empty")

		got = runWith(t.Context(), options, "", "invite", "--org", "org_unknown", "x@example.com")
		assert.Equal(t, exitEarly, got.code)
		assert.Contains(t, got.out, "x@example.com  not decided")
		assert.Contains(t, got.err, "Clerk knows nothing by this name")
	})
}

func TestList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := clerktest.NewServer()
		options := against(t, server)
		assert.Equal(t, output{out: "[]\n"}, runWith(t.Context(), options, "", "list", "--format", "json"))
		invitees(server)
		got := runWith(t.Context(), options, "", "list", "--status", "pending")
		assert.Equal(t, `E-MAIL                 ROLE        STATUS   CREATED     EXPIRES     ID
katherine@example.com  org:member  pending  2000-01-01  2000-01-31  orginv_
alan@example.com       org:member  pending  2000-01-01  2000-01-31  orginv_
`, ids.ReplaceAllString(got.out, "orginv_"))

		got = runWith(t.Context(), options, "", "list", "--status", "expired,accepted", "--query", "BARB", "--format", "json")
		var invitations []clerkorg.OrganizationInvitation
		require.NoError(t, json.Unmarshal([]byte(got.out), &invitations))
		require.Len(t, invitations, 1)
		assert.Equal(t, "barbara@example.com", invitations[0].EmailAddress)

		got = runWith(t.Context(), options, "", "list", "--format", "csv")
		rows, err := csv.NewReader(strings.NewReader(got.out)).ReadAll()
		require.NoError(t, err)
		require.Len(t, rows, 5)
		assert.Equal(t, []string{"email_address", "role", "status", "created_at", "expires_at", "inviter_id", "id", "url"}, rows[0])
		assert.Equal(t, []string{"katherine@example.com", "org:member", "pending", "2000-01-01T00:00:00Z", "2000-01-31T00:00:00Z"}, rows[1][:5])

		server.Inject(clerktest.Fault{Kind: clerktest.FaultStatus, Status: 403, Code: "authorization_invalid"})
		for _, format := range []string{"table", "json", "csv"} {
			got = runWith(t.Context(), options, "", "list", "--format", format)
			assert.Equal(t, exitEarly, got.code)
			assert.Contains(t, got.err, "403 Forbidden")
		}
	})
}

func TestResend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := clerktest.NewServer()
		options := against(t, server)
		ids := invitees(server)
		got := runWith(t.Context(), options, "", "resend", "alan@example.com", "nobody@example.com", ids["barbara"], "orginv_unknown")
		assert.Equal(t, exitRejected, got.code)
		assert.Regexp(t, `^alan@example.com: sent again as orginv_\w+\n`+ids["barbara"]+`: sent again as orginv_\w+\n$`, got.out)
		assert.Regexp(t, `^nobody@example.com: has no invitation to this organization\norginv_unknown: .*404 Not Found.*\n$`, got.err)
		for _, name := range []string{"alan", "barbara"} {
			assert.Equal(t, 1, server.TimesInvited(server.OrganizationID(), name+"@example.com"))
		}

		got = runWith(t.Context(), append(options, clerkorg.WithMaxRetries(0)), "", "resend", "--org", "org_unknown", "alan@example.com")
		assert.Equal(t, exitRejected, got.code)
	})
}

// TestResendExpired has more than the quota of an hour, and is interrupted.
func TestResendExpired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := clerktest.NewServer(clerktest.WithLiveKey())
		options := against(t, server)
		path := writeFile(t, "people.csv", "email,public.team,expires_in_days,redirect_url\n"+strings.ReplaceAll(addresses(800), "\n", ",north,7,/in\n"))
		require.Equal(t, exitDone, runWith(t.Context(), options, "", "import", path).code)
		time.Sleep(8 * 24 * time.Hour)
		revoked := server.AddInvitation(server.OrganizationID(), "p0@example.com", "org:member") // and then unwanted
		require.Equal(t, exitDone, runWith(t.Context(), options, "", "revoke", revoked).code)
		server.AddMember(server.OrganizationID(), "p1@example.com", "org:member")

		got := runWith(t.Context(), options, "", "resend", "--expired")
		assert.Equal(t, exitDone, got.code, got.err)
		assert.Contains(t, got.err, "799 expired invitations. About 55 bulk calls")
		assert.Equal(t, 798, strings.Count(got.out, "  invited "))
		assert.Contains(t, got.out, "p1@example.com    already_member")
		all := server.Invitations(server.OrganizationID())
		last := all[len(all)-1]
		assert.JSONEq(t, `{"team":"north"}`, string(last.PublicMetadata))
		assert.Equal(t, 7*24*time.Hour, last.ExpiresAt.Sub(last.CreatedAt))
		assert.Zero(t, server.RateLimited())

		got = runWith(t.Context(), options, "", "resend", "--expired")
		assert.Contains(t, got.err, "1 expired invitation.", "of the member, who is asked for again")
	})
}

func TestRevoke(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := clerktest.NewServer()
		options := against(t, server)
		ids := invitees(server)
		pending := func() (all []string) {
			for _, invitation := range server.Invitations(server.OrganizationID()) {
				if invitation.Status == "pending" {
					all = append(all, invitation.EmailAddress)
				}
			}
			return all
		}
		time.Sleep(15 * 24 * time.Hour)
		server.AddInvitation(server.OrganizationID(), "new@example.com", "org:member")

		got := runWith(t.Context(), options, "", "revoke", "--older-than", "2w")
		assert.Equal(t, exitWrongUse, got.code)
		assert.Contains(t, got.err, "Revoke 2 invitations? [y/N] ")
		assert.Contains(t, got.err, "give --yes")
		got = runWith(t.Context(), options, "n\n", "revoke", "--older-than", "14d")
		assert.Equal(t, exitEarly, got.code)
		assert.Contains(t, got.err, "nothing was revoked")
		assert.Len(t, pending(), 3)

		got = runWith(t.Context(), options, "", "revoke", "alan@example.com")
		assert.Equal(t, output{out: "alan@example.com: revoked " + ids["alan"] + "\n"}, got)
		got = runWith(t.Context(), options, "yes\n", "revoke", ids["katherine"], ids["edsger"])
		assert.Equal(t, exitRejected, got.code, "one is no longer pending")
		assert.Equal(t, []string{"new@example.com"}, pending())
		got = runWith(t.Context(), options, "", "revoke", "--older-than", "1h")
		assert.Equal(t, exitDone, got.code)
		assert.Contains(t, got.err, "No pending invitation is older than 1h.")
		time.Sleep(2 * time.Hour)
		assert.Equal(t, exitDone, runWith(t.Context(), options, "", "revoke", "--older-than", "1h", "--yes").code)
		assert.Empty(t, pending())
	})
}

func TestQuota(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := clerktest.NewServer()
		options := against(t, server)
		t.Setenv("CLERK_ORGANIZATION_ID", "")
		// Another process with the same key has invited people, into two organizations.
		other, err := clerkorg.NewClient(server.SecretKey(), append(options, clerkorg.WithRateLimiter(clerkorg.Unlimited()))...)
		require.NoError(t, err)
		for i := range 52 {
			organization := server.OrganizationID()
			if i%2 == 1 {
				organization = server.AddOrganization(clerktest.Organization{ID: "org_other"})
			}
			if i < 50 {
				_, err := other.Organizations.CreateInvitationBulk(t.Context(), organization, bulkOf(i))
				require.NoError(t, err)
			} else {
				_, err := other.Organizations.CreateInvitation(t.Context(), organization, bulkOf(i)[0])
				require.NoError(t, err)
			}
			time.Sleep(10 * time.Second)
		}
		got := runWith(t.Context(), options, "", "quota")
		assert.Equal(t, exitDone, got.code, got.err)
		assert.Equal(t, `CALL LEFT OF NEXT SLOT ALL FREE
bulk (10 people) 0 50 in 51m in 59m 
single 248 250 now in 59m 
`, regexp.MustCompile(` (\(\d\d:\d\d\)| )+`).ReplaceAllString(got.out, " "))
		time.Sleep(time.Hour)
		got = runWith(t.Context(), options, "", "quota")
		assert.Contains(t, got.out, "bulk (10 people)  50    50   now")
	})
}

// bulkOf is a call for five people.
func bulkOf(i int) []clerkorg.CreateInvitationParams {
	var all []clerkorg.CreateInvitationParams
	for j := range 5 {
		all = append(all, clerkorg.CreateInvitationParams{
			EmailAddress: string(rune('a'+j)) + strings.Repeat("x", i) + "@example.com", Role: clerkorg.RoleMember,
		})
	}
	return all
}
