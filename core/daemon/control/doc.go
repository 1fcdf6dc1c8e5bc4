// Package control is the operator's way into a running daemon: a unix socket,
// mode 0600, over which named commands are called by hand.
//
// One connection carries one call. The client sends one line of JSON, a
// [Request]; the server answers with lines of JSON, each a [Frame], as output
// comes, and closes after the frame whose End is set. The
// client keeps its sending side open until then: closing it gives the call up.
package control
