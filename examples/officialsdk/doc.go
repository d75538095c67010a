// Package officialsdk holds no code of its own: its tests drive Clerk's own
// SDKs, for Go and for JavaScript, against clerktest, so that the server stays
// one they can live with. Others compare how clerkhook judges webhooks with the
// libraries of Svix and of Standard Webhooks.
package officialsdk
