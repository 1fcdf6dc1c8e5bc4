// Package store keeps records in etcd and is the only one to talk to it.
//
// One key holds what one owner says about one RRset; servers merge the owners:
//
//	<prefix>/records/<labels from the root, '/'-joined, escaped>/<TYPE>/<owner>
//	{"ttl":30,"data":["10.0.0.1","10.0.0.2"],"probe":"tcp:80"}
//
// The order of the labels makes a name and all below it one key range. Labels
// are lower case and types begin with a capital, so that the RRsets of one name
// alone are a range too.
//
// Reading. A [Watcher] ranges over the records at one revision, hands them to a
// [Sink], and then follows etcd's changes from the next revision on; it keeps no
// copy of the records. When etcd is away the sink keeps what it has: a lost
// quorum stops changes, never answers. A value that is none of ours is reported
// with its key and left out; the rest is served.
//
// Writing. [Client.Add], [Client.Remove], [Client.Set], [Client.Write],
// [Client.WriteFenced] (for several who follow the same history) and
// [Client.Import] are transactions guarded by the keys' mod revisions: what two
// writers do at once is never lost, and a value already right is not written.
//
// Health. [Client.FollowHealth] tells what is known of addresses, [Client.WriteHealth]
// writes it for a prober, which [Client.Register] makes known by a leased key.
//
// Living without etcd. [WriteSnapshot] and [OpenSnapshot] keep a state in a local
// file, [Restore] starts a sink from it. [Embed] runs an etcd member in this process.
package store
