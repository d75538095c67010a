package bench

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"

	"github.com/clerkorg/clerkorg-go"
)

// plain is a client written by hand: one struct for what travels, one shared
// http.Client, and nothing of what an SDK is for: no checks, no quota, no retries, no
// typed errors. The floor encodes and decodes with encoding/json, the limit with code
// for these structs alone.
type plain struct {
	http   *http.Client
	base   string
	params []floorParams
	encode func([]floorParams) ([]byte, error)
	decode func([]byte, *floorList) error
}

func newFloor(transport http.RoundTripper, base string) *plain {
	return &plain{
		http:   &http.Client{Transport: transport},
		base:   cmp.Or(base, clerkorg.DefaultBaseURL),
		params: floorRequest(),
		encode: func(params []floorParams) ([]byte, error) { return json.Marshal(params) },
		decode: func(data []byte, list *floorList) error { return json.Unmarshal(data, list) },
	}
}

type floorParams struct {
	EmailAddress    string          `json:"email_address"`
	Role            string          `json:"role"`
	InviterUserID   string          `json:"inviter_user_id,omitempty"`
	RedirectURL     string          `json:"redirect_url,omitempty"`
	PublicMetadata  json.RawMessage `json:"public_metadata,omitempty"`
	PrivateMetadata json.RawMessage `json:"private_metadata,omitempty"`
	ExpiresInDays   int             `json:"expires_in_days,omitempty"`
}

type floorInvitation struct {
	Object            string          `json:"object"`
	ID                string          `json:"id"`
	EmailAddress      string          `json:"email_address"`
	Role              string          `json:"role"`
	RoleName          string          `json:"role_name"`
	OrganizationID    string          `json:"organization_id"`
	InviterID         string          `json:"inviter_id"`
	PublicInviterData *floorInviter   `json:"public_inviter_data"`
	Status            string          `json:"status"`
	PublicMetadata    json.RawMessage `json:"public_metadata"`
	PrivateMetadata   json.RawMessage `json:"private_metadata"`
	URL               string          `json:"url"`
	ExpiresAt         int64           `json:"expires_at"`
	CreatedAt         int64           `json:"created_at"`
	UpdatedAt         int64           `json:"updated_at"`
}

type floorInviter struct {
	UserID     string `json:"user_id"`
	FirstName  string `json:"first_name"`
	LastName   string `json:"last_name"`
	ImageURL   string `json:"image_url"`
	HasImage   bool   `json:"has_image"`
	Identifier string `json:"identifier"`
}

type floorList struct {
	Data       []floorInvitation `json:"data"`
	TotalCount int64             `json:"total_count"`
}

func (p *plain) bulk(ctx context.Context) (*floorList, error) {
	body, err := p.encode(p.params)
	if err != nil {
		return nil, err
	}
	return p.call(ctx, http.MethodPost, "/organizations/"+organizationID+"/invitations/bulk", body)
}

func (p *plain) list(ctx context.Context) (*floorList, error) {
	return p.call(ctx, http.MethodGet, "/organizations/"+organizationID+"/invitations?limit=500", nil)
}

func (p *plain) call(ctx context.Context, method, path string, body []byte) (*floorList, error) {
	var reader io.Reader
	if body != nil {
		reader = bytes.NewReader(body)
	}
	req, err := http.NewRequestWithContext(ctx, method, p.base+path, reader)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+secretKey)
	req.Header.Set("Clerk-API-Version", "2026-05-12")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := p.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("status %s", resp.Status)
	}
	var answer bytes.Buffer
	if resp.ContentLength > 0 {
		answer.Grow(int(resp.ContentLength) + bytes.MinRead)
	}
	if _, err := answer.ReadFrom(resp.Body); err != nil {
		return nil, err
	}
	list := new(floorList)
	return list, p.decode(answer.Bytes(), list)
}
