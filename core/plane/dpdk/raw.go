//go:build dpdk

package dpdk

/*
#cgo noescape strata_raw_exchange
#cgo nocallback strata_raw_exchange
#cgo noescape strata_raw_echo
#cgo nocallback strata_raw_echo
#include "burst.h"
#include "raw.h"
*/
import "C"

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"time"
	"unsafe"
)

// RawBurst is how many frames a Raw sends or receives together.
const RawBurst = C.STRATA_RAW_BURST

// RawOptions are what a Raw is made of.
type RawOptions struct {
	EAL    []string // arguments of DPDK's environment: exactly one device
	Lcore  int      // the CPU that polls
	Queues int      // of the port, all of them polled by the one lcore
	Log    *slog.Logger
}

// A Raw is a port whose frames a program makes and reads itself: a load generator, or
// the bare loop that a plane is held against. It is used by the one goroutine that called
// [Raw.Bind].
type Raw struct {
	eal  *environment
	port *port
	c    *C.struct_strata_raw
	cpu  int
}

// anyAddress stands for the service address that a port of ours would have: a Raw answers
// for none.
var anyAddress = netip.MustParsePrefix("192.0.2.1/24")

// OpenRaw takes the port. A process can do it once, and not beside [Open].
func OpenRaw(o RawOptions) (r *Raw, err error) {
	if o.Queues < 1 {
		return nil, errors.New("dpdk: no queue")
	}
	threads, _, err := keepOff([]int{o.Lcore})
	if err != nil {
		return nil, fmt.Errorf("dpdk: %w", err)
	}
	all := Options{EAL: o.EAL, Lcores: slices.Repeat([]int{o.Lcore}, o.Queues), Addresses: []netip.Prefix{anyAddress}, Port: 53, Log: o.Log}
	r = &Raw{cpu: o.Lcore}
	if r.eal, err = startEnvironment(arguments(&all, first(&threads.home), hugePages()), o.Log); err != nil {
		return nil, fmt.Errorf("dpdk: %w", err)
	}
	if err := r.take(&all); err != nil {
		r.eal.close()
		return nil, fmt.Errorf("dpdk: %w%s", err, r.eal.said())
	}
	calm()
	return r, nil
}

func (r *Raw) take(o *Options) error {
	ports, err := findPorts(o)
	if err != nil {
		return err
	}
	if len(ports) > 1 {
		return errors.New("more than one port")
	}
	r.port = ports[0]
	if err := r.port.open(len(o.Lcores)); err != nil {
		return err
	}
	d := &r.port.device
	if r.c = C.strata_raw(d.id, d.queues, d.pool); r.c == nil {
		return errors.New("no memory")
	}
	r.c.long_gap = C.uint64_t(LongGap.Seconds() * r.Hz())
	return nil
}

// Bind locks the calling goroutine to its thread and pins that to the lcore.
func (r *Raw) Bind() error {
	runtime.LockOSThread()
	if err := pin(r.cpu); err != nil {
		return fmt.Errorf("dpdk: %w", err)
	}
	if code := C.strata_register(); code < 0 {
		return fmt.Errorf("dpdk: register the thread: %s", reason(code))
	}
	return nil
}

// Close gives the port back.
func (r *Raw) Close() error {
	r.port.stop()
	C.strata_raw_end(r.c)
	r.port.close()
	r.eal.close()
	return nil
}

// MAC is the port's Ethernet address.
func (r *Raw) MAC() net.HardwareAddr {
	return slices.Clone(unsafe.Slice((*byte)(&r.port.device.mac[0]), 6))
}

// Exchange sends the first send frames and receives what is there. kept of those sent were
// not taken by the port; they now stand in front, as they were filled. What was received
// before is gone.
func (r *Raw) Exchange(send int) (kept, received int, err error) {
	n := C.strata_raw_exchange(r.c, C.uint16_t(send))
	if n < 0 {
		return 0, 0, fmt.Errorf("dpdk: exchange: %s", reason(n))
	}
	return int(r.c.kept), int(n), nil
}

// Frame is the room of the i-th frame to be sent, after the first Exchange.
func (r *Raw) Frame(i int) []byte {
	f := &r.c.out[i]
	return unsafe.Slice((*byte)(f.data), int(f.room))
}

// Filled tells how many octets of the i-th frame are to be sent.
func (r *Raw) Filled(i, length int) { r.c.out[i].length = C.uint32_t(length) }

// Received is the i-th frame that the last Exchange received.
func (r *Raw) Received(i int) []byte {
	f := &r.c.in[i]
	return unsafe.Slice((*byte)(f.data), int(f.length))
}

// Now is when the last Exchange or Echo ended, in cycles of [Raw.Hz].
func (r *Raw) Now() uint64 { return uint64(r.c.now) }

// Hz is how many cycles a second has.
func (r *Raw) Hz() float64 { return float64(C.strata_hz()) }

// Longest is the longest time between two polls since it was asked last.
func (r *Raw) Longest() time.Duration {
	longest := time.Duration(float64(r.c.longest) / r.Hz() * float64(time.Second))
	r.c.longest = 0
	return longest
}

// Gaps are the times between two polls so far that were longer than each [GapLength].
func (r *Raw) Gaps() (counts [GapLengths]uint64) {
	for i := range counts {
		counts[i] = uint64(r.c.gaps[i])
	}
	return counts
}

// Echo turns round all IPv4 datagrams that come within the span, with the bit QR of DNS
// set, in C alone. It returns how many were sent back in all calls so far, and how many
// the port would not take.
func (r *Raw) Echo(span time.Duration) (echoed, unsent uint64) {
	C.strata_raw_echo(r.c, C.uint64_t(span.Seconds()*r.Hz()))
	return uint64(r.c.echoed), uint64(r.c.unsent)
}
