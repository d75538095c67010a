package jsonwire

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"testing"
	"time"
)

// The shapes that go over the wire.

type status string

type timestamp struct{ time.Time }

func (t *timestamp) UnmarshalJSON(data []byte) error {
	if string(data) == "null" {
		*t = timestamp{}
		return nil
	}
	n, err := strconv.ParseInt(string(data), 10, 64)
	if err != nil {
		return err
	}
	*t = timestamp{time.UnixMilli(n).UTC()}
	return nil
}

func (t timestamp) MarshalJSON() ([]byte, error) {
	if t.IsZero() {
		return []byte("null"), nil
	}
	return strconv.AppendInt(nil, t.UnixMilli(), 10), nil
}

func init() {
	Verbatim[metadata]()
	Integer(func(t *timestamp, n int64) { *t = timestamp{time.UnixMilli(n).UTC()} })
}

type metadata []byte

func (m *metadata) UnmarshalJSON(data []byte) error {
	if string(data) == "null" {
		*m = nil
		return nil
	}
	*m = bytes.Clone(data)
	return nil
}

func (m metadata) MarshalJSON() ([]byte, error) {
	if len(m) == 0 {
		return []byte("null"), nil
	}
	return m, nil
}

type inviter struct {
	UserID     string `json:"user_id"`
	FirstName  string `json:"first_name"`
	LastName   string `json:"last_name"`
	ImageURL   string `json:"image_url"`
	HasImage   bool   `json:"has_image"`
	Identifier string `json:"identifier"`
}

type organization struct {
	ID       string `json:"id"`
	Name     string `json:"name"`
	Slug     string `json:"slug"`
	ImageURL string `json:"image_url,omitempty"`
	HasImage bool   `json:"has_image"`
}

type invitation struct {
	Object                 string        `json:"object"`
	ID                     string        `json:"id"`
	EmailAddress           string        `json:"email_address"`
	Role                   string        `json:"role"`
	RoleName               string        `json:"role_name"`
	OrganizationID         string        `json:"organization_id,omitempty"`
	InviterID              string        `json:"inviter_id"`
	PublicInviterData      *inviter      `json:"public_inviter_data"`
	PublicOrganizationData *organization `json:"public_organization_data,omitempty"`
	Status                 status        `json:"status,omitempty"`
	PublicMetadata         metadata      `json:"public_metadata"`
	PrivateMetadata        metadata      `json:"private_metadata,omitempty"`
	URL                    string        `json:"url"`
	ExpiresAt              timestamp     `json:"expires_at"`
	CreatedAt              timestamp     `json:"created_at"`
	UpdatedAt              timestamp     `json:"updated_at,omitzero"`
}

type list struct {
	Data       []invitation `json:"data"`
	TotalCount int          `json:"total_count"`
}

// listJSON returns a list of n invitations as the server writes it, in an order
// of members that is not that of the fields.
func listJSON(n int) []byte {
	var b bytes.Buffer
	b.WriteString(`{"data":[`)
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		role := []string{"org:admin", "org:member"}[i%2]
		fmt.Fprintf(&b, `{"object":"organization_invitation","id":"orginv_2b%025x","email_address":"invitee.%d@mail.example.com",`, i*7919, i)
		fmt.Fprintf(&b, `"role":%q,"role_name":%q,"organization_id":"org_2bT0VQ3pJbF7yq1wZ8dXnKcLmRs",`, role, role[4:])
		fmt.Fprintf(&b, `"public_metadata":{"department":"engineering","level":%d,"tags":["backend","go","platform"],"manager":{"name":"Grace Hopper","since":1709294400000},"remote":true,"note":"joins the team of %d, after the offsite in spring; see the onboarding plan"},`, i%5, i)
		fmt.Fprintf(&b, `"private_metadata":{"crm_id":"crm-%08d","source":"import-2024-03","score":%d.5,"history":[{"at":1709294400000,"what":"created"},{"at":1709294461000,"what":"approved"}],"approved_by":null,"cost_center":"CC-4711","flags":{"beta":false,"billing":true,"sso":true},"comment":"imported with the batch of March"},`, i, i%100)
		fmt.Fprintf(&b, `"status":"pending","inviter_id":"user_2bSqN6tYw4vRk9mPzXcVbGhJdLe","public_inviter_data":{"user_id":"user_2bSqN6tYw4vRk9mPzXcVbGhJdLe","first_name":"Ada","last_name":"Lovelace","image_url":"https://img.example.com/eyJ0eXBlIjoiZGVmYXVsdCIsImlpZCI6Imluc18yYlEifQ","has_image":false,"identifier":"ada@example.com"},`)
		fmt.Fprintf(&b, `"url":"https://accounts.example.com/v1/tickets/accept?ticket=eyJhbGciOiJSUzI1NiIsImtpZCI6Imluc18yYlF4IiwidHlwIjoiSldUIn0.%064x","expires_at":%d,"created_at":%d,"updated_at":%d}`, i*104729, 1711886400000+i, 1709294400000+i, 1709294400000+i)
	}
	fmt.Fprintf(&b, `],"total_count":%d}`, n)
	return b.Bytes()
}

func BenchmarkUnmarshal(b *testing.B) {
	for _, n := range []int{1, 10, 500} {
		data := listJSON(n)
		for _, codec := range []struct {
			name      string
			unmarshal func([]byte, any) error
		}{{"jsonwire", Unmarshal}, {"std", json.Unmarshal}} {
			b.Run(fmt.Sprintf("%s/%d", codec.name, n), func(b *testing.B) {
				b.SetBytes(int64(len(data)))
				b.ReportAllocs()
				for b.Loop() {
					var l list
					if err := codec.unmarshal(data, &l); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
