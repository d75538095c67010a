package clerktest

import (
	"maps"
	"slices"
	"strings"
)

// roleJSON is what the server tells of a role: it knows no permissions, and roles are
// as old as it is.
type roleJSON struct {
	Object            string     `json:"object"`
	ID                string     `json:"id"`
	Name              string     `json:"name"`
	Key               string     `json:"key"`
	Description       string     `json:"description"`
	IsCreatorEligible bool       `json:"is_creator_eligible"`
	Permissions       []struct{} `json:"permissions"`
	CreatedAt         int64      `json:"created_at"`
	UpdatedAt         int64      `json:"updated_at"`
}

// roles answers OpRoles, in the order of their keys whatever order_by says.
func (s *Server) roles(v *visit) (any, *apiError) {
	p, err := parsePage(v.query)
	if err != nil {
		return nil, err
	}
	p.descending = false
	part := v.query.Get("query")
	s.mu.Lock()
	defer s.mu.Unlock()
	keys, total := pick(p, slices.Sorted(maps.Keys(s.state.roles)), func(key string) bool {
		return strings.Contains(key, part) || strings.Contains(s.state.roles[key], part)
	})
	data := make([]roleJSON, len(keys))
	began := millis(s.state.organizations[s.orgID].created)
	for i, key := range keys {
		data[i] = roleJSON{
			Object: "role", ID: "role_" + strings.ReplaceAll(key, ":", "_"), Name: s.state.roles[key], Key: key,
			IsCreatorEligible: key == roleAdmin, Permissions: []struct{}{}, CreatedAt: began, UpdatedAt: began,
		}
	}
	return listJSON[roleJSON]{data, total}, nil
}
