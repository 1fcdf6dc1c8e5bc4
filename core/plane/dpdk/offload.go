//go:build dpdk

package dpdk

// #include "burst.h"
// #include <rte_ethdev.h>
import "C"

// Abilities are what a port can do, and of those what it is to do: bits as DPDK has
// them.
type abilities struct{ rx, tx, hash uint64 }

// Offloads and types of RSS that there is a use for.
const (
	rxSums   uint64 = C.RTE_ETH_RX_OFFLOAD_IPV4_CKSUM | C.RTE_ETH_RX_OFFLOAD_UDP_CKSUM
	txSums   uint64 = C.RTE_ETH_TX_OFFLOAD_IPV4_CKSUM | C.RTE_ETH_TX_OFFLOAD_UDP_CKSUM
	fastFree uint64 = C.RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE
	hashIP   uint64 = C.RTE_ETH_RSS_IP
	hashUDP  uint64 = C.RTE_ETH_RSS_UDP
)

// choose takes of what a port can do what is of use. Checksums are found wrong by any
// port that looks for it, and written by one that does so for both headers: the other
// would be a second pass over the reply. All buffers of a queue are of one pool and
// have one owner, so they may be freed as such. Queries of a few resolvers spread by
// addresses and ports; by addresses alone if that is all the port can.
func (can abilities) choose() (use abilities) {
	use.rx = can.rx & rxSums
	if can.tx&txSums == txSums {
		use.tx = txSums
	}
	use.tx |= can.tx & fastFree
	use.hash = can.hash & (hashIP | hashUDP)
	return use
}

// sums tells whether the port writes the checksums of replies.
func (use abilities) sums() bool { return use.tx&txSums == txSums }

// checks tells whether the port looks at the checksums of what it receives.
func (use abilities) checks() bool { return use.rx != 0 }

// byPorts tells whether several queries of one resolver reach several queues.
func (use abilities) byPorts() bool { return use.hash&hashUDP != 0 }
