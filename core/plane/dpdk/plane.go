package dpdk

import (
	"context"
	"log/slog"
	"net/netip"
	"time"

	"github.com/strata-dns/strata/core/plane"
	"github.com/strata-dns/strata/core/plane/frame"
)

// A Plane answers on all ports of this process. It has the methods of a daemon's
// task: Run, Ready, String and Drain.
type Plane interface {
	Run(ctx context.Context) error
	Ready() bool
	String() string
	// Drain ends receiving, and returns when what was received is answered.
	Drain(ctx context.Context) error
	// Counts is what each lcore has done.
	Counts() []Counts
	// Exceptions is what went between the ports and exception interfaces.
	Exceptions() Exceptions
	// Close gives the ports back. Run does so, too.
	Close() error
}

// Options are what a Plane is made of.
type Options struct {
	EAL       []string       // arguments of DPDK's environment: devices above all
	Lcores    []int          // CPUs that poll, one goroutine and one queue of each port each
	Addresses []netip.Prefix // who is answered for, with the length of its network
	Port      uint16         // UDP port that is answered
	Room      int            // octets of the largest reply, MaxRoom at most
	Backoff   bool           // lcores without traffic nap instead of polling on
	// Exception gives each port whose driver leaves the kernel nothing an interface, dtap0
	// and so on, where the kernel has what is no query.
	Exception bool
	// Handler makes the handler of one lcore, counted from 0. Each is called by one
	// goroutine.
	Handler func(worker int) plane.Handler
	Log     *slog.Logger
}

// MaxRoom is what an Ethernet frame without fragments has room for, over IPv6.
const MaxRoom = 1500 - 40 - 8

// Counts is what one lcore has done since it began to poll.
type Counts struct {
	Lcore    int
	Frames   [frame.Verdicts]uint64 // received, by what they were
	Bursts   uint64                 // bursts with anything in them
	Polls    uint64
	Sent     uint64
	Unsent   uint64 // what a port would not take
	Late     uint64 // of those sent: delivered later
	Oversize uint64 // received in more than one buffer: dropped
	Up, Busy time.Duration
	Longest  time.Duration // longest time between two polls
	Gaps     uint64        // times between two polls above LongGap
}

// LongGap is from when on a time between two polls is counted: much more than any
// burst takes, so somebody else had the CPU.
const LongGap = 500 * time.Microsecond
