// Package resolvers holds small programs (most in testdata) that resolve a name each by the resolver of
// one C library, language or package, and connect to it: what a host's programs do
// with what nodecache says.
//
//	connect.c       getaddrinfo, built with glibc and with musl
//	cares.c         ares_getaddrinfo of c-ares
//	connect.mjs     Node.js: net.connect by the c-ares of dns.resolve4 and resolve6
//	connect/        Go's own resolver, by net.Dial; and what is connected to
//
// Each is called with NAME and PORT, takes what /etc/resolv.conf says, and writes one
// line: the address it is connected to and the microseconds that took, or "none" where
// it takes the name for one that does not exist, "again" where it says that asking
// later may help.
package resolvers
