package hosts

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// A Link is a cable between a switch and a host or router. What is done to it
// concerns both directions. Its methods may be called from any goroutine.
type Link struct {
	space *space // the switch's
	port  string
	end   *space // the host's or router's
	name  string // of its interface

	mu    sync.Mutex
	lossy bool
	relay *relay
}

// Cut takes the link down: both ends lose their carrier.
func (l *Link) Cut() error { return l.space.ip("link set " + l.port + " down") }

// Mend brings a link up that was cut, and waits until it carries.
func (l *Link) Mend() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.space.ip("link set " + l.port + " up"); err != nil {
		return err
	}
	if l.relay != nil {
		return l.carries(l.port + "n") // which is at the bridge in its place
	}
	return l.carries(l.port)
}

// carries waits until both ends and the port at the bridge are in use: the kernel
// may take up to a second to notice (linkwatch).
func (l *Link) carries(port string) error {
	if err := l.end.shows(l.name, "state UP"); err != nil {
		return err
	}
	return l.space.shows(port, "state UP", "bridge_slave state forwarding")
}

// shows waits until ip(8) says all these words of an interface, for half a minute.
func (s *space) shows(name string, words ...string) error {
	missing := func(text string) bool {
		return slices.ContainsFunc(words, func(word string) bool { return !strings.Contains(text, word) })
	}
	for limit := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		text, err := s.run("", "ip", "-details", "-oneline", "link", "show", "dev", name)
		if err != nil || !missing(text) {
			return err
		}
		if time.Now().After(limit) {
			return fmt.Errorf("%s does not come up: %s", name, strings.TrimSpace(text))
		}
	}
}

// Lose has the link lose so many of a hundred IPv4 packets, by lot, in each
// direction; with 100 all are lost, and nobody is told. ARP is not lost: hosts that
// talk have known each other for long. 0 ends it.
func (l *Link) Lose(percent int) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	table := "netdev loss_" + l.port
	rules := ""
	if l.lossy {
		rules = "delete table " + table + "\n"
	}
	if percent > 0 {
		which := fmt.Sprintf("numgen random mod 100 < %d", percent)
		if percent >= 100 {
			which = "" // nft takes no condition that always holds
		}
		for _, hook := range []string{"ingress", "egress"} {
			rules += fmt.Sprintf("add table %[1]s\nadd chain %[1]s %[2]s { type filter hook %[2]s device %[3]q priority 0; }\n"+
				"add rule %[1]s %[2]s meta protocol ip %[4]s counter drop\n", table, hook, l.port, which)
		}
	}
	if _, err := l.space.run(rules, "nft", "-f", "-"); err != nil {
		return fmt.Errorf("lose %d %% at %s: %w", percent, l.port, err)
	}
	l.lossy = percent > 0
	return nil
}

// Delay holds every frame back, in each direction, for a time between least and
// most, by lot: where they differ, frames overtake one another. It is a relay, a
// goroutine of this process: a machine under load adds to it. 0, 0 ends it; what is
// on its way then is lost.
func (l *Link) Delay(least, most time.Duration) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.unrelay()
	if most == 0 {
		if err := l.space.ip("link set " + l.port + " master br0"); err != nil {
			return err
		}
		return l.carries(l.port)
	}
	// A pair of interfaces takes the port's place at the bridge; the relay copies
	// between the far one and the port.
	near, far := l.port+"n", l.port+"f"
	err := l.space.ip(
		fmt.Sprintf("link add %s type veth peer name %s", near, far),
		fmt.Sprintf("link set %s up", far),
		fmt.Sprintf("link set %s nomaster", l.port),
		fmt.Sprintf("link set %s master br0 up", near),
	)
	if err == nil {
		l.relay, err = newRelay(l.space, l.port, far, least, most)
	}
	if err == nil {
		err = l.carries(near)
	}
	if err != nil {
		return fmt.Errorf("delay %s: %w", l.port, err)
	}
	return nil
}

// unrelay ends the relay for who holds the lock.
func (l *Link) unrelay() {
	if l.relay == nil {
		return
	}
	l.relay.close()
	l.relay = nil
	_ = l.space.ip("link del " + l.port + "n") // it goes with its namespace at the latest
}
