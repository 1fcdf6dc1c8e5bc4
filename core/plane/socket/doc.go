// Package socket is the plane of the kernel's sockets: UDP with one socket, one
// queue and one thread per worker, moved in batches by recvmmsg(2) and
// sendmmsg(2), and TCP or TLS connections whose queries arrive in the same kind
// of batch.
//
//	ListenUDP ─► UDP.Queues ─┐
//	                         ├─► Serve(queue, handler): Receive → Answer → Send
//	ListenTCP ─► TCP.Queues ─┘
//
// Server joins both for one address and is what a daemon runs. Why the UDP path
// looks as it does, with figures: docs/decisions/0002-socket-plane.md.
package socket
