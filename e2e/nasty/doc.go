// Package nasty is a name server that misbehaves: a fake, for tests of what resolvers
// make of bad input. It answers over UDP and TCP, on loopback only, each query by what
// the second label of its name asks for: 1.wrong-id.nasty.example, say.
package nasty
