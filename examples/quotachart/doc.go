// Package quotachart draws two pictures.
//
// quota.svg is what three hours of Clerk's bulk quota look like to a plain token bucket
// and to this SDK's:
//
//	go test ./examples/quotachart            # is the picture up to date?
//	go test ./examples/quotachart -update    # draw it again
//
// A test draws it, because hours pass in milliseconds only in testing/synctest. The
// calls are real: the clients send them to clerktest, which counts them in a sliding log,
// 50 an hour, and answers.
//
// inviteall.svg is what InviteAll takes of a machine, over the number of people. It is
// drawn from inviteall.csv, which is measured again by
//
//	go test ./examples/quotachart -run InviteAll -people 1000000
package quotachart
