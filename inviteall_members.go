package clerkorg

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
)

// checkMembers finds out who is a member already. The others may be sent.
func (r *inviteRun) checkMembers(rows []*row) {
	r.lookups++
	r.checking++
	wait := r.reads.backoff()
	r.start(func() func() {
		sleep(r.ctx, wait)
		members, err := r.membersAmong(r.ctx, rows)
		return func() {
			r.lookups--
			r.checking--
			if err != nil {
				if r.readFailed(err) {
					r.asked = append(rows, r.asked...)
				}
				return
			}
			r.succeeded(&r.reads)
			for _, in := range rows {
				in.checked = true
				if members[in] {
					r.decide(in, InviteResult{Outcome: OutcomeAlreadyMember})
				} else if err := r.culprits.reason(in); err != nil {
					r.decide(in, InviteResult{Outcome: OutcomeRejected, Err: err})
				} else {
					r.backlog.add(queueFresh, in)
				}
			}
		}
	})
}

// membersAmong asks which of at most 100 rows belong to members. A question that is
// refused is halved, until the address that it is refused for is left out: the call
// that invites it will tell.
func (r *inviteRun) membersAmong(ctx context.Context, rows []*row) (map[*row]bool, error) {
	members, err := r.askMembers(ctx, rows)
	if !aboutAddresses(err) {
		return members, err
	}
	if len(rows) == 1 {
		return nil, nil
	}
	return r.membersAmongHalves(ctx, rows, map[*row]bool{})
}

// membersAmongHalves adds the members among rows to members, with a question for
// each half.
func (r *inviteRun) membersAmongHalves(ctx context.Context, rows []*row, members map[*row]bool) (map[*row]bool, error) {
	for _, half := range [][]*row{rows[:len(rows)/2], rows[len(rows)/2:]} {
		more, err := r.membersAmong(ctx, half)
		if err != nil {
			return nil, err
		}
		maps.Copy(members, more)
	}
	return members, nil
}

// askMembers asks with one question. A member is found by any address, but shows
// only one identifier: where that is none of those asked for, the user's other
// addresses are asked for.
func (r *inviteRun) askMembers(ctx context.Context, rows []*row) (map[*row]bool, error) {
	asked := make(map[string]*row, len(rows))
	addresses := make([]string, len(rows))
	for i, in := range rows {
		addresses[i] = in.wire.EmailAddress
		asked[AddressKey(addresses[i])] = in
	}
	members := map[*row]bool{}
	var strangers []string // the users that show no address that was asked for
	params := &ListMembershipsParams{EmailAddress: addresses}
	for membership, err := range r.reader.Organizations.Memberships(ctx, r.org, params) {
		if err != nil {
			return nil, err
		}
		var user PublicUserData
		if membership.PublicUserData != nil {
			user = *membership.PublicUserData
		}
		if in := asked[AddressKey(user.Identifier)]; in != nil {
			members[in] = true
		} else {
			strangers = append(strangers, user.UserID)
		}
	}
	rest := slices.DeleteFunc(slices.Clone(rows), func(in *row) bool { return members[in] })
	switch {
	case len(strangers) == 0 || len(rest) == 0:
		return members, nil
	case len(strangers) >= len(rest): // each has an address of its own
		for _, in := range rest {
			members[in] = true
		}
		return members, nil
	}
	others, err := r.addressesOf(ctx, strangers)
	if err != nil {
		return r.membersAmongHalves(ctx, rest, members) // until a question has one answer
	}
	for _, address := range others {
		if in := asked[AddressKey(address)]; in != nil {
			members[in] = true
		}
	}
	return members, nil
}

// addressesOf returns all addresses of users. It is the only call that InviteAll
// makes about users; a key or a proxy may refuse it.
//
// Clerk: https://clerk.com/docs/reference/backend-api/tag/Users#operation/GetUserList
// (GET /users)
func (r *inviteRun) addressesOf(ctx context.Context, users []string) ([]string, error) {
	type user struct {
		EmailAddresses []struct {
			EmailAddress string `json:"email_address"`
		} `json:"email_addresses"`
	}
	var addresses []string
	for len(users) > 0 {
		query := url.Values{"limit": {strconv.Itoa(maxPageSize)}}
		n := 0
		for length := 0; n < len(users) && n < maxMemberQueries && length < maxQuestion; n++ {
			query.Add("user_id", users[n])
			length += len("&user_id=") + len(url.QueryEscape(users[n]))
		}
		users = users[n:]
		found, err := send(ctx, r.reader, &call{
			operation: "Users.List",
			method:    http.MethodGet,
			template:  "/users",
			query:     query.Encode(),
		}, func(data []byte) (list []user, err error) {
			return list, json.Unmarshal(data, &list)
		})
		if err != nil {
			return nil, err
		}
		for _, one := range found {
			for _, address := range one.EmailAddresses {
				addresses = append(addresses, address.EmailAddress)
			}
		}
	}
	return addresses, nil
}
