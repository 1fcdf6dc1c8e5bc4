//go:build dpdk

package dpdk

/*
#cgo pkg-config: libdpdk
#cgo noescape strata_poll
#cgo nocallback strata_poll
#cgo noescape strata_late
#cgo nocallback strata_late
#include "burst.h"
*/
import "C"

// Built tells whether this binary has the plane.
const Built = true

// burst is how many frames are received and sent together.
const burst = C.STRATA_BURST

// reason says what a code of DPDK's means.
func reason(code C.int) string { return C.GoString(C.strata_error(code)) }
