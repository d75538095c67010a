package clerkotel_test

import (
	"context"
	"fmt"
	"net/http"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/clerkorg/clerkorg-go"
	"github.com/clerkorg/clerkorg-go/clerkotel"
	"github.com/clerkorg/clerkorg-go/clerktest"
)

func ExampleNew() {
	spans := tracetest.NewInMemoryExporter() // in production one of OTLP
	observer, err := clerkotel.New(clerkotel.WithTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans))))
	if err != nil {
		fmt.Println(err)
		return
	}
	server := clerktest.NewServer()
	client, err := clerkorg.NewClient(server.SecretKey(),
		clerkorg.WithHTTPClient(&http.Client{Transport: server.Transport()}),
		clerkorg.WithObserver(observer))
	if err != nil {
		fmt.Println(err)
		return
	}
	if _, err := client.Organizations.Get(context.Background(), server.OrganizationID()); err != nil {
		fmt.Println(err)
		return
	}
	for _, span := range spans.GetSpans() {
		fmt.Println(span.Name)
	}
	// Output:
	// GET /organizations/{organization_id}
	// Organizations.Get
}
