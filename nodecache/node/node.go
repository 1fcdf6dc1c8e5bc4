package node

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// A Node has the addresses of a config for this process. It is a daemon.Task that
// keeps them there and lets go of them at the end.
type Node struct {
	config Config
	log    *slog.Logger

	holds   []hold
	closing sync.Once
	failure atomic.Pointer[error] // why an address is not there; nil: all are
	mended  atomic.Uint64         // addresses put back
}

// Open takes hold of the addresses, adds those that are not there, and sweeps what
// processes before left behind. The error says what lacks: most often
// CAP_NET_ADMIN. Whoever does not Run a Node must Close it.
func Open(c Config, log *slog.Logger) (*Node, error) {
	n := &Node{config: c, log: log}
	if !n.Any() {
		return n, nil
	}
	if err := n.open(); err != nil {
		n.Close()
		return nil, fmt.Errorf("node: %w", err)
	}
	return n, nil
}

func (n *Node) open() error {
	unlock, err := lock()
	if err != nil {
		return err
	}
	defer unlock()
	for _, ip := range n.config.Addresses {
		h, err := holdOn(ip)
		if err != nil {
			return err
		}
		n.holds = append(n.holds, h)
	}
	added, err := n.ensure()
	if err != nil {
		return err
	}
	for _, ip := range n.config.Addresses {
		n.log.Info("address of this host", "address", ip, "added", slices.Contains(added, ip))
	}
	sweep(n.log)
	return nil
}

// Close lets go of the addresses, and removes those that nobody else holds and
// that are ours.
func (n *Node) Close() { n.closing.Do(n.leave) }

// Any tells whether there is any address to have.
func (n *Node) Any() bool { return len(n.config.Addresses) > 0 }

func (n *Node) leave() {
	if !n.Any() {
		return
	}
	unlock, err := lock()
	for _, h := range n.holds {
		_ = h.Close()
	}
	if err != nil {
		n.log.Warn("addresses not removed", "err", err)
		return
	}
	defer unlock()
	sweep(n.log)
}

// Ready implements daemon.Task.
func (n *Node) Ready() bool { return n.failure.Load() == nil }

// Reason implements daemon.Reasoner.
func (n *Node) Reason() string {
	if err := n.failure.Load(); err != nil {
		return (*err).Error()
	}
	return ""
}

// String implements daemon.Task.
func (n *Node) String() string {
	var all []string
	for _, ip := range n.config.Addresses {
		all = append(all, ip.String())
	}
	return "node " + strings.Join(all, " ")
}

// Metric counts the addresses that were put back.
func (n *Node) Metric() prometheus.Collector {
	return prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "strata_node_addresses_restored_total",
		Help: "Addresses of the section node that somebody had removed and that were put back.",
	}, func() float64 { return float64(n.mended.Load()) })
}
