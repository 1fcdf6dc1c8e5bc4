//go:build !dpdk

package dpdk

import "errors"

// Built tells whether this binary has the plane.
const Built = false

// Open fails: the plane is not in this build.
func Open(Options) (Plane, error) {
	return nil, errors.New("this build has no DPDK plane: build with libdpdk-dev installed (make build), or -tags dpdk")
}
