// Package probe finds out which addresses answer, and says so in etcd.
//
//	records with a probe ─► Targets ─┐
//	probers with a lease ─► Share ───┴─► Rounds ─► Scanner ─► judge, brake ─► health keys
//
// Nothing hands out work: each prober reads from etcd which probers there are, and
// rendezvous hashing of their names and an address says, to all of them alike,
// whose it is ([Owner]). One that is gone loses its lease, and with it its share.
//
// An address is probed once an interval; when it does not answer, tries times
// before it counts as down, and when it answers again it is up at once. Only what
// changes is written, in transactions bound to what was known and to the prober's
// own registration: one that was away cannot speak for what is now another's.
//
// Before an address is written down, the prober looks at some of those that
// answered: where most of them are gone, too, it is the prober that is cut off
// ([Prober]'s brake), and nothing is written.
package probe
