// Package lookup is a DNS client for people: one question to one server, and
// the answer in words. It is no resolver and nothing a daemon is built on.
package lookup
