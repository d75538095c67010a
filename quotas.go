package clerkorg

import (
	"net/http"
	"strings"
	"time"
)

// builtinQuotas are the documented limits of an instance with a live or a test key.
func builtinQuotas(live bool) map[string]Quota {
	instance := 100
	if live {
		instance = 1000
	}
	quotas := map[string]Quota{}
	for _, quota := range []Quota{
		{Name: QuotaBulk, Limit: 50, Window: time.Hour},
		{Name: QuotaCreate, Limit: 250, Window: time.Hour},
		{Name: QuotaApplicationBulk, Limit: 25, Window: time.Hour},
		{Name: QuotaApplicationCreate, Limit: 100, Window: time.Hour},
		{Name: QuotaInstance, Limit: instance, Window: 10 * time.Second},
	} {
		quotas[quota.Name] = quota
	}
	return quotas
}

// limited are the endpoints that have a quota besides that of all calls. All of them
// create invitations.
var limited = []struct{ template, quota string }{
	{"/organizations/{organization_id}/invitations/bulk", QuotaBulk},
	{"/organizations/{organization_id}/invitations", QuotaCreate},
	{"/invitations/bulk", QuotaApplicationBulk},
	{"/invitations", QuotaApplicationCreate},
}

// endpointQuota is the name of the quota that a request counts against besides that of
// all calls, empty where there is none. The path is escaped, without the base URL's, or
// a template.
func endpointQuota(method, path string) string {
	if method != http.MethodPost {
		return ""
	}
	for _, endpoint := range limited {
		if fits(endpoint.template, path) {
			return endpoint.quota
		}
	}
	return ""
}

// fits reports whether a path is one of a template, in which a name in braces stands for
// any segment.
func fits(template, path string) bool {
	path = strings.TrimSuffix(path, "/")
	for {
		want, templateRest, deeper := strings.Cut(template, "/")
		segment, pathRest, more := strings.Cut(path, "/")
		anything := segment != "" && strings.HasPrefix(want, "{")
		if deeper != more || segment != want && !anything {
			return false
		}
		if !more {
			return true
		}
		template, path = templateRest, pathRest
	}
}
