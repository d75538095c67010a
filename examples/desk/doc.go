// Package desk holds no code of its own: its tests look at the page of clerktest in a
// browser, and compare the answers of clerktest with a description of Clerk's API.
package desk
