// Package hosts makes hosts out of network namespaces: each has its own addresses,
// loopback and programs. Hosts of one site hang on one switch, a bridge in a
// namespace of its own that is also the site's router; sites are joined by lines:
//
//	host ── port ┐                            ┌ port ── host
//	host ── port ┤ bridge (site) ── line ── bridge (site)
//
// Every host's cable and every line is a [Link], which can be cut, made lossy or
// slow. The kernel need not have netem: loss is nftables', and delay that of a
// relay, a goroutine of this process which copies frames between two interfaces
// and says so in [Link.Delay].
//
// A namespace has no name: it is held by this process and by what runs inside, and
// the kernel removes it, with its interfaces, when the last of them has ended. So a
// test that panics, is timed out or killed leaves nothing behind, and any number of
// them run side by side with the same addresses.
//
// It needs root, `ip` (iproute2) and, for loss, `nft` (nftables); [New] says what
// lacks.
package hosts
