package clerkorg

import (
	"regexp"
	"strings"
)

var secretKeyShape = regexp.MustCompile(`^sk_(test|live)_[!-~]+$`)

// secretKeyFault says what is wrong with a secret key, as words that follow the
// name of the key, and without showing any of it. It is empty where nothing is.
func secretKeyFault(key string) string {
	const begin = "begin with sk_test_ or sk_live_"
	edge := edgeFault(key)
	switch {
	case key == "":
		return "is empty; it must " + begin
	case edge != "":
		return edge
	case len(key) > len("Bearer") && strings.EqualFold(key[:len("Bearer")], "Bearer"):
		return "has Bearer in front; it must " + begin
	case strings.HasPrefix(key, "pk_"):
		return "is a publishable key, as it begins with pk_; secret keys " + begin
	case !strings.HasPrefix(key, "sk_test_") && !strings.HasPrefix(key, "sk_live_"):
		return "must " + begin
	case len(key) == len("sk_test_"):
		return "has nothing behind " + key
	case !secretKeyShape.MatchString(key):
		return "must hold nothing but printable ASCII without spaces"
	}
	return ""
}
