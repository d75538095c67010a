// Package quotachart draws what three hours of Clerk's bulk quota look like to a
// plain token bucket and to this SDK's: quota.svg.
//
//	go test ./examples/quotachart            # is the picture up to date?
//	go test ./examples/quotachart -update    # draw it again
//
// A test draws it, because hours pass in milliseconds only in testing/synctest. The
// calls are real: the clients send them to clerktest, which counts them in a sliding log,
// 50 an hour, and answers.
package quotachart
