// Package xdp shares a network interface between a plane and the kernel: an XDP program
// gives the plane the queries for its service addresses, and the kernel all else.
//
//	Take ─► Path: DPDK's driver loads and attaches the program ─► Steer ─► Close
//	└ whose is the interface?                                      └ which queries
//
// The program is steer.c; steer.o, what clang makes of it, is kept beside it. Until Steer
// has said which queries, and for queues that nobody polls, the kernel gets everything.
//
// Of an address that the kernel has, the plane gets datagrams alone, and the kernel answers
// ARP, neighbour discovery and echo; of one that the kernel has not got they are the plane's,
// too. That is looked at again whenever the kernel's addresses change.
package xdp

//go:generate sh -c "clang -O2 -g -Wall -Werror -target bpfel -mcpu=v3 -I/usr/include/$(uname -m)-linux-gnu -fdebug-compilation-dir=. -c steer.c -o steer.o && llvm-strip -g steer.o"
