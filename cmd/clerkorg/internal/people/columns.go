package people

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/runenames"

	"github.com/clerkorg/clerkorg-go"
)

// column is a column of which something is sent.
type column struct {
	field string // as on the wire; of metadata "public." or "private." and the name
	set   func(p *clerkorg.CreateInvitationParams, cell string) (fault string)
	exact bool // cells are taken as they are; otherwise without what surrounds them
}

// Names of columns, as plain makes them.
var (
	emailNames = []string{"email", "emailaddress", "mail", "mailaddress", "useremail", "useremailaddress", "emailadresse", "email1value"}
	roleNames  = []string{"role", "orgrole", "organizationrole"}
)

// plain is what all spellings of a name share: its letters and digits, without what
// stands in brackets behind it ("Email Address [Required]").
func plain(name string) string {
	if i := strings.IndexAny(name, "[("); i > 0 {
		name = name[:i]
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, name)
}

// findColumn finds the column that is wanted, by its name or number, or that has one
// of the known names. It is -1 where there is none of these.
func findColumn(cells []string, what, wanted string, known []string) (int, error) {
	flag := "--" + what + "-column"
	if wanted == "" {
		return oneOf(cells, what, func(cell string) bool {
			name := plain(cell)
			return slices.Contains(known, name)
		})
	}
	for _, equal := range []func(cell string) bool{
		func(cell string) bool { return cell == wanted },
		func(cell string) bool { return strings.EqualFold(cell, wanted) },
		func(cell string) bool { return plain(cell) == plain(wanted) && plain(wanted) != "" },
	} {
		if i, err := oneOf(cells, what, equal); i >= 0 || err != nil {
			return i, err
		}
	}
	if n, err := strconv.Atoi(wanted); err == nil && n >= 1 && n <= len(cells) {
		return n - 1, nil
	}
	return -1, fmt.Errorf("%s: no column is named %q; the columns are %s", flag, wanted, quoted(cells))
}

func oneOf(cells []string, what string, is func(string) bool) (int, error) {
	found := -1
	for i, cell := range cells {
		switch {
		case !is(cell):
		case found >= 0:
			return -1, fmt.Errorf("columns %d (%q) and %d (%q) may both be the one for %s: choose one by its number, with --%s-column", found+1, cells[found], i+1, cell, what, what)
		default:
			found = i
		}
	}
	return found, nil
}

// take gives params what the cell says.
func (c *column) take(p *clerkorg.CreateInvitationParams, cell string) (fault, note string) {
	if !utf8.ValidString(cell) {
		return "is not UTF-8: save the file in one encoding", ""
	}
	if !c.exact {
		var removed []rune
		if cell, removed = trim(cell); len(removed) > 0 {
			note = "removed " + named(removed) + " around the text"
		}
	}
	if cell == "" && c.field != "email_address" {
		return "", note
	}
	return c.set(p, cell), note
}

func addressColumn() *column {
	return &column{field: "email_address", set: func(p *clerkorg.CreateInvitationParams, cell string) string {
		p.EmailAddress = cell
		if cell == "" {
			return "there is no address: fill it in, or delete the row"
		}
		return ""
	}}
}

func roleColumn() *column {
	return textColumn("role", func(p *clerkorg.CreateInvitationParams, cell string) { p.Role = clerkorg.Role(cell) })
}

func textColumn(field string, set func(p *clerkorg.CreateInvitationParams, cell string)) *column {
	return &column{field: field, set: func(p *clerkorg.CreateInvitationParams, cell string) string {
		set(p, cell)
		return ""
	}}
}

// namedColumn is the column of one of the other fields, nil where the name is not
// known.
func namedColumn(name string) *column {
	for _, prefix := range []string{"public.", "private."} {
		if len(name) > len(prefix) && strings.EqualFold(name[:len(prefix)], prefix) {
			return metadataColumn(prefix, name[len(prefix):])
		}
	}
	switch plain(name) {
	case "inviteruserid":
		return textColumn("inviter_user_id", func(p *clerkorg.CreateInvitationParams, cell string) { p.InviterUserID = cell })
	case "redirecturl":
		return textColumn("redirect_url", func(p *clerkorg.CreateInvitationParams, cell string) { p.RedirectURL = cell })
	case "expiresindays":
		return &column{field: "expires_in_days", set: func(p *clerkorg.CreateInvitationParams, cell string) string {
			days, err := strconv.Atoi(cell)
			if err != nil || days < 1 {
				return "must be a number of days, 1 to 365, or empty"
			}
			p.ExpiresInDays = days
			return ""
		}}
	case "notify":
		return &column{field: "notify", set: func(p *clerkorg.CreateInvitationParams, cell string) string {
			notify, err := strconv.ParseBool(strings.ToLower(cell))
			if err != nil {
				return "must be true, false or empty"
			}
			p.Notify = &notify
			return ""
		}}
	}
	return nil
}

// metadataColumn is a column of public or private metadata. Its cells are text, or
// JSON where its name ends in :json.
func metadataColumn(prefix, key string) *column {
	key, isJSON := strings.CutSuffix(key, ":json")
	return &column{field: prefix + key, exact: true, set: func(p *clerkorg.CreateInvitationParams, cell string) string {
		var value any = cell
		if isJSON {
			if !json.Valid([]byte(cell)) {
				return "must be JSON or empty"
			}
			value = json.RawMessage(cell)
		}
		field := &p.PublicMetadata
		if prefix == "private." {
			field = &p.PrivateMetadata
		}
		object, _ := (*field).(map[string]any)
		if object == nil {
			object = map[string]any{}
			*field = object
		}
		object[key] = value
		return ""
	}}
}

// prefixOf is what the columns of a metadata field begin with, and no column where
// it is another field.
func prefixOf(field string) string {
	switch field {
	case "public_metadata":
		return "public."
	case "private_metadata":
		return "private."
	}
	return "\x00"
}

// trim removes what surrounds a text and shows nothing. It returns the characters
// among it that are more than blanks and line breaks.
func trim(text string) (string, []rune) {
	inner := strings.TrimFunc(text, isInvisible)
	if len(inner) == len(text) {
		return text, nil
	}
	at := strings.Index(text, inner)
	var removed []rune
	for _, r := range text[:at] + text[at+len(inner):] {
		if !strings.ContainsRune(" \t\r\n", r) {
			removed = append(removed, r)
		}
	}
	return inner, removed
}

// isInvisible reports whether a character shows nothing.
func isInvisible(r rune) bool {
	if r < utf8.RuneSelf {
		return r <= ' ' || r == 0x7f
	}
	return r != utf8.RuneError && (unicode.IsSpace(r) || r == 0x2800 ||
		unicode.In(r, unicode.Z, unicode.C, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point))
}

// named names characters, each once.
func named(runes []rune) string {
	var texts []string
	seen := map[rune]bool{}
	for _, r := range runes {
		if !seen[r] {
			seen[r] = true
			texts = append(texts, fmt.Sprintf("%U (%s)", r, strings.ToLower(runenames.Name(r))))
		}
	}
	return strings.Join(texts, ", ")
}
