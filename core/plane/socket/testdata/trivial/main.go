// Command trivial answers every query with one A record: what is left of the
// cost of a query is the plane's. measure.sh runs it under load.
package main

import (
	"flag"
	"fmt"
	"net/netip"
	"os"
	"time"

	"github.com/strata-dns/strata/core/plane"
	"github.com/strata-dns/strata/core/plane/socket"
)

// trivial flips QR and appends an A record that points at the question's name.
type trivial struct{}

var record = []byte{0xc0, 12, 0, 1, 0, 1, 0, 0, 1, 44, 0, 4, 192, 0, 2, 1}

func (trivial) Answer(batch []plane.Packet, _ plane.Queue) {
	for i := range batch {
		p := &batch[i]
		if len(p.Data) < 12 || p.Data[2]&0x80 != 0 || cap(p.Data) < len(p.Data)+len(record) {
			p.Data = nil
			continue
		}
		p.Data[2] |= 0x84
		p.Data[7] = 1  // ANCOUNT
		p.Data[11] = 0 // no OPT in the reply
		p.Data = append(p.Data, record...)
	}
}

func main() {
	address := flag.String("listen", "127.0.0.1:0", "address")
	gather := flag.Duration("gather", 0, "longest wait for a batch; 0: the default, negative: none")
	plain := flag.Bool("plain", false, "no UDP_SEGMENT")
	life := flag.Duration("for", time.Minute, "end after")
	flag.Parse()
	udp, err := socket.ListenUDP(netip.MustParseAddrPort(*address), socket.UDPOptions{Gather: *gather, NoSegments: *plain})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(udp.Address().Port())
	time.AfterFunc(*life, udp.Stop)
	if err := socket.Serve(udp.Queues()[0], trivial{}, socket.AnyCPU); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Fprintf(os.Stderr, "%+v\n", udp.Counts())
}
