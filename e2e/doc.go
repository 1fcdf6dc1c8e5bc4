// Package e2e holds what only shows from outside: stories over real processes on
// loopback or on hosts that are network namespaces (package hosts), and the rules
// that hold for the house as a whole. The tests need the binaries in bin/ (`make
// build`) and name what else they lack.
package e2e
