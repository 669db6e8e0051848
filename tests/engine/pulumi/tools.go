//go:build tools

// Package tools names what `go build` builds here: the Pulumi CLI, pinned by go.mod and go.sum.
package tools

import _ "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
