//go:build !dpdk

package main

import (
	"context"
	"errors"
)

// drive fails: there is no port in this build.
func drive(context.Context, options, printer) error {
	return errors.New("this build has no DPDK: build with libdpdk-dev installed and -tags dpdk")
}
