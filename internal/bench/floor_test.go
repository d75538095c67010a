package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
)

// floor is the client to beat: one tight struct for what travels, encoding/json,
// one shared http.Client, and nothing of what an SDK is for: no checks, no quota,
// no retries, no typed errors.
type floor struct {
	http *http.Client
	base string
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

func (f *floor) bulk(ctx context.Context, params []floorParams) ([]floorInvitation, error) {
	body, err := json.Marshal(params)
	if err != nil {
		return nil, err
	}
	list, err := f.call(ctx, http.MethodPost, "/organizations/"+organizationID+"/invitations/bulk", body)
	return list.Data, err
}

func (f *floor) list(ctx context.Context) (floorList, error) {
	return f.call(ctx, http.MethodGet, "/organizations/"+organizationID+"/invitations?limit=500", nil)
}

func (f *floor) call(ctx context.Context, method, path string, body []byte) (list floorList, err error) {
	req, err := http.NewRequestWithContext(ctx, method, f.base+path, bytes.NewReader(body))
	if err != nil {
		return list, err
	}
	req.Header.Set("Authorization", "Bearer "+secretKey)
	req.Header.Set("Clerk-API-Version", "2026-05-12")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := f.http.Do(req)
	if err != nil {
		return list, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return list, fmt.Errorf("status %s", resp.Status)
	}
	err = json.NewDecoder(resp.Body).Decode(&list)
	return list, err
}
