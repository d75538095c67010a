// Package quotachart draws what three hours of Clerk's bulk quota look like to a
// plain token bucket and to this SDK's: quota.svg.
//
//	go test ./examples/quotachart            # does the picture still tell the truth?
//	go test ./examples/quotachart -update    # draw it again
//
// It is made by a test, because only a test has hours that pass in milliseconds
// (testing/synctest). The calls are real: the clients send them to clerktest, which
// counts them in a sliding log, 50 an hour, and answers.
package quotachart
