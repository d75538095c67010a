module github.com/clerkorg/clerkorg-go

go 1.26

require (
	github.com/cenkalti/backoff/v5 v5.0.3
	github.com/google/go-querystring v1.2.0
	github.com/jarcoal/httpmock v1.4.2
	github.com/stretchr/testify v1.12.1
)

require go.yaml.in/yaml/v3 v3.0.5 // indirect
