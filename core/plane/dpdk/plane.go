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
	// Ports is what each port has counted itself.
	Ports() []PortCounts
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
	Idle      Idle           // what lcores without traffic do
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

// Idle is what an lcore does that has no traffic. The zero value polls on.
type Idle uint8

const (
	Poll      Idle = iota // and has all of its CPU
	Backoff               // naps for 50 µs at first, for 500 µs at a time later on
	Interrupt             // sleeps until the port tells of a frame, where its driver can
)

// Counts is what one lcore has done since it began to poll.
type Counts struct {
	Lcore    int
	Frames   [frame.Verdicts]uint64 // received, by what they were
	Bursts   uint64                 // bursts with anything in them
	Sizes    [BurstSizes]uint64     // of those, by how many frames were in them: 1, 2 to 3, 4 to 7, … 64
	Polls    uint64
	Sent     uint64
	Unsent   uint64 // what a port would not take
	Late     uint64 // of those sent: delivered later
	Oversize uint64 // received in more than one buffer: dropped
	Up, Busy time.Duration
	Longest  time.Duration      // longest time between two polls
	Gaps     [GapLengths]uint64 // times between two polls longer than each GapLength
	Naps     uint64             // times it slept
	Recent   Recent
}

// Recent is the last minute, or as much of it as there was.
type Recent struct {
	Span, Busy time.Duration
	Longest    time.Duration // longest time between two polls
}

// Share is the part of it that an lcore had frames in hand, 0 to 1.
func (r Recent) Share() float64 {
	if r.Span <= 0 {
		return 0
	}
	return r.Busy.Seconds() / r.Span.Seconds()
}

// BurstSizes is how many kinds of bursts Counts.Sizes tells apart.
const BurstSizes = 7

// BurstUpTo is how many frames are in the largest burst of a kind; the smallest has one
// more than the largest of the kind before.
func BurstUpTo(kind int) int { return min(2<<kind-1, 64) }

// PortCounts are one port's own numbers, since it was opened.
type PortCounts struct {
	Name       string `json:"name"`
	Driver     string `json:"driver"`
	Received   uint64 `json:"received"`
	Sent       uint64 `json:"sent"`
	Missed     uint64 `json:"missed"`      // there was no room in its queues: lcores are too slow
	NoBuffer   uint64 `json:"no_buffer"`   // there was no free buffer
	Errors     uint64 `json:"errors"`      // damaged on the wire
	SendErrors uint64 `json:"send_errors"` // could not be sent
	Sums       bool   `json:"writes_checksums"`
	Checks     bool   `json:"looks_at_checksums"`
	Spread     string `json:"spread"` // how queries reach several queues
}

// LongGap is from when on a time between two polls is counted: much more than any
// burst takes, so somebody else had the CPU.
const LongGap = 500 * time.Microsecond

// GapLengths is how many lengths of gaps are told apart.
const GapLengths = 5

// GapLength is how long a gap must be at least to count as one of that kind: LongGap, then 1,
// 2, 5 and 10 ms.
func GapLength(kind int) time.Duration {
	return [GapLengths]time.Duration{LongGap, time.Millisecond, 2 * time.Millisecond, 5 * time.Millisecond, 10 * time.Millisecond}[kind]
}
