// Package clerkotel traces and measures a client of package clerkorg with OpenTelemetry.
//
//	observer, err := clerkotel.New()
//	if err != nil {
//		return err
//	}
//	client, err := clerkorg.NewClient(secretKey, clerkorg.WithObserver(observer))
//
// # Spans
//
// Every call is a span named after its operation, as Organizations.CreateInvitationBulk,
// with a client span for each attempt in it, as OpenTelemetry's conventions for HTTP
// clients want it: http.request.method, url.template, server.address, server.port,
// http.request.resend_count, http.response.status_code and error.type. The span of an
// attempt begins before the wait for quota; clerk.quota.wait tells how long that took.
// clerk.error.codes and clerk.trace_id tell what Clerk said. url.full is left out, since
// the queries of lists hold e-mail addresses.
//
// # Metrics
//
//	http.client.request.duration   s          of each request, without the wait for quota
//	clerk.calls                    {call}     by operation and error.type
//	clerk.quota.waits              s          how long attempts waited for quota, where they did
//	clerk.quota.refusals           {attempt}  by quota, of the limiter and of the server
//	clerk.quota.left               {call}     by quota, whenever metrics are collected
//	clerk.invite_all.people        {person}   by outcome, of a run of InviteAll
//	clerk.invite_all.remaining     {person}   without an outcome yet
//
// Nothing here holds the secret key, an e-mail address or an id.
package clerkotel
