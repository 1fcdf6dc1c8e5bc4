package node

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

const (
	// look is how often the addresses are looked at where nobody tells of changes.
	look = 10 * time.Second
	// pause is between two looks: who keeps removing an address does not keep us busy.
	pause = 100 * time.Millisecond
)

// Run implements daemon.Task: it puts back what somebody removes.
func (n *Node) Run(ctx context.Context) error {
	changed := make(chan struct{}, 1)
	var watching sync.WaitGroup
	watching.Go(func() { n.watch(ctx, changed) })
	ticks := time.NewTicker(look)
	defer ticks.Stop()
	for {
		n.mend()
		if !wait(ctx, pause) {
			break
		}
		select {
		case <-ctx.Done():
		case <-changed:
		case <-ticks.C:
		}
		if ctx.Err() != nil {
			break
		}
	}
	watching.Wait()
	n.Close()
	return nil
}

// wait tells whether ctx lasted for so long.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// mend adds what is not there, and says so.
func (n *Node) mend() {
	unlock, err := lock()
	if err == nil {
		defer unlock()
		added, failed := n.ensure()
		for _, ip := range added {
			n.mended.Add(1)
			n.log.Warn("address was removed by somebody: put back", "address", ip)
		}
		err = failed
	}
	if err == nil {
		n.failure.Store(nil)
		return
	}
	if n.failure.Swap(&err) == nil {
		n.log.Error("address not put back", "err", err)
	}
}

// watch tells of changes to addresses and interfaces until ctx is done.
func (n *Node) watch(ctx context.Context, changed chan<- struct{}) {
	for ctx.Err() == nil {
		if err := listen(ctx, changed); err != nil && ctx.Err() == nil {
			n.log.Warn("changes of addresses are not told: looking now and then", "every", look, "err", err)
		}
		wait(ctx, time.Second)
	}
}

// listen is watch as long as the kernel tells.
func listen(ctx context.Context, changed chan<- struct{}) error {
	s, err := nl.Subscribe(unix.NETLINK_ROUTE, unix.RTNLGRP_LINK, unix.RTNLGRP_IPV4_IFADDR, unix.RTNLGRP_IPV6_IFADDR)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, s.Close)
	defer func() {
		if stop() {
			s.Close()
		}
	}()
	for {
		// What the messages say is looked up anew: some may have been lost (ENOBUFS).
		if _, _, err := s.Receive(); err != nil && !errors.Is(err, unix.ENOBUFS) {
			return err
		}
		select {
		case changed <- struct{}{}:
		default:
		}
	}
}
