// Flood asks over a DPDK port as often as it can, or at a rate, and says what came back:
// whole frames, one thread, one port. Or it is the other side, a bare echo loop.
//
//	flood --eal "--no-pci --vdev=net_memif0,role=server,socket=/tmp/a.sock" --mac 02:00:00:00:00:53 --pattern host-%d.example.org --count 50000
//	flood --echo --eal …
//
// It prints reports as lines of JSON (package packets says of what). It needs the build
// tag dpdk.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/strata-dns/strata/bench/packets"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	o, err := parseOptions(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err == nil {
		err = drive(ctx, o, json.NewEncoder(os.Stdout).Encode)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "flood:", err)
		os.Exit(1)
	}
}

// A printer prints a report.
type printer func(report any) error

// options are the command line.
type options struct {
	eal      []string
	lcore    int
	queues   int
	echo     bool
	way      packets.Way
	mix      packets.Mix
	stay     bool          // with the port, when all is said
	rates    []float64     // queries a second, one run after another; 0: as many as can be
	window   int           // queries in the air at most
	warm     time.Duration // before what is counted
	span     time.Duration
	patience time.Duration
}

// source is the first port that asks.
const source = 20_000

// mostInFlight is many times what the rings of a port hold, and less than the IDs of one
// source port.
const mostInFlight = 1<<16 - 1024

func parseOptions(args []string) (o options, err error) {
	var eal, mac, from, to, names, absent, pattern, kinds, rates string
	var count int
	f := flag.NewFlagSet("flood", flag.ContinueOnError)
	f.StringVar(&eal, "eal", "", "arguments of DPDK's environment, with exactly one device, separated by spaces")
	f.IntVar(&o.lcore, "lcore", 0, "the CPU that polls")
	f.IntVar(&o.queues, "queues", 1, "queues of the port")
	f.BoolVar(&o.echo, "echo", false, "turn all that comes round, until SIGTERM")
	f.StringVar(&mac, "mac", "", "Ethernet address that is asked")
	f.StringVar(&from, "from", "10.0.0.9", "IPv4 address that asks")
	f.StringVar(&to, "to", "10.0.0.53", "IPv4 address that is asked, at port 53")
	f.IntVar(&o.way.Sources, "sources", 64, "source ports")
	f.StringVar(&names, "names", "", "file of names: one a line, with or without a type")
	f.StringVar(&absent, "absent", "", "file of names that there are not")
	f.StringVar(&pattern, "pattern", "", "instead of files: names with a number for %d, from 0; those that there are not follow")
	f.IntVar(&count, "count", 0, "how many of the pattern there are")
	f.Float64Var(&o.mix.Share, "nx", 0, "share of queries for names that there are not, 0 to 1")
	f.StringVar(&kinds, "types", "A", "types, comma-separated, of names without one")
	f.Float64Var(&o.mix.Zipf, "zipf", 0, "exponent of the names' popularity; 0: all alike")
	f.IntVar(&o.mix.Length, "sequence", 0, "queries until all are asked over again (default twice as many as names, 1 to 8 million)")
	f.Uint64Var(&o.mix.Seed, "seed", 1, "of what is drawn")
	f.StringVar(&rates, "rate", "0", "queries a second, whatever comes back; 0: as many as can be; several, comma-separated: a run and a report each")
	f.BoolVar(&o.stay, "stay", false, "keep the port until SIGTERM: a memif peer must not see it vanish while it polls")
	f.IntVar(&o.window, "window", mostInFlight, "queries in flight at most")
	f.DurationVar(&o.warm, "warm", time.Second, "how long to ask before anything is counted")
	f.DurationVar(&o.span, "for", 5*time.Second, "how long to count, in whole seconds")
	f.DurationVar(&o.patience, "patience", 250*time.Millisecond, "after that a query counts as lost")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	o.eal = strings.Fields(eal)
	if f.NArg() > 0 || len(o.eal) == 0 || o.queues < 1 {
		return o, errors.New("parse options: a device (--eal) is needed, queues begin at 1, and there are no further arguments")
	}
	if o.echo {
		return o, nil
	}
	if o.window < 1 || o.window > mostInFlight || o.span < time.Second || o.warm < 0 || o.patience <= 0 {
		return o, fmt.Errorf("parse options: a window is 1 to %d, a run a second at least, nothing negative", mostInFlight)
	}
	if o.way.ToMAC, err = net.ParseMAC(mac); err != nil {
		return o, fmt.Errorf("parse options: mac: %w", err)
	}
	if o.way.From, err = netip.ParseAddr(from); err != nil {
		return o, fmt.Errorf("parse options: from: %w", err)
	}
	if o.way.To, err = netip.ParseAddr(to); err != nil {
		return o, fmt.Errorf("parse options: to: %w", err)
	}
	o.way.Port, o.way.Source = 53, source
	for text := range strings.SplitSeq(rates, ",") {
		rate, err := strconv.ParseFloat(text, 64)
		if err != nil || rate < 0 || rate > 1e9 {
			return o, fmt.Errorf("parse options: a rate of %q: 0 to 1e9", text)
		}
		o.rates = append(o.rates, rate)
	}
	return o, o.readNames(names, absent, pattern, kinds, count)
}

// readNames fills in the mix.
func (o *options) readNames(names, absent, pattern, kinds string, count int) (err error) {
	var turns []uint16
	for kind := range strings.SplitSeq(kinds, ",") {
		code, err := packets.ParseType(kind)
		if err != nil {
			return fmt.Errorf("parse options: types: %w", err)
		}
		turns = append(turns, code)
	}
	if pattern != "" {
		if o.mix.Names, err = packets.NumberNames(pattern, 0, count, turns); err == nil && o.mix.Share > 0 {
			o.mix.Absent, err = packets.NumberNames(pattern, count, count, turns)
		}
	} else if o.mix.Names, err = readFile(names, turns); err == nil && absent != "" {
		o.mix.Absent, err = readFile(absent, turns)
	}
	if err == nil && o.mix.Length == 0 {
		o.mix.Length = min(max(2*o.mix.Names.Len(), 1_000_000), 8_000_000)
	}
	return err
}

func readFile(path string, turns []uint16) (*packets.Names, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read names: %w", err)
	}
	defer f.Close()
	return packets.ReadNames(f, turns)
}
