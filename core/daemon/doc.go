// Package daemon is what every server of the house has around its work: tasks
// that run and end together, signals, readiness, reload, the admin page,
// metrics, the control socket and the service manager's protocol. It knows no
// DNS.
//
// Its sub-packages stand alone: config reads configuration, control is the
// operator's socket, admin the HTTP pages, lookup a DNS client for people, and
// command joins them all into one program.
package daemon
