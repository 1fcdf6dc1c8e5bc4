// Package node has a host's own addresses for DNS while somebody serves them: on
// a Kubernetes node nodecache listens on a link-local address that it adds before
// it listens and removes when it ends.
//
// Several processes may share an address, as when an old and a new pod overlap.
// Each holds it by a unix socket in the abstract namespace (unix(7)), which
// belongs to the network namespace as the address does, and which the kernel
// closes when its owner dies, however that is. Who ends removes what nobody holds
// any more; a lock of the same kind keeps who comes and who goes apart.
//
// What is ours carries a mark (IFA_PROTO, and for IPv4 a label too; for
// interfaces an alias), so that what a killed process left behind is taken over
// or swept, and an address that somebody else added is left alone.
package node
