// Package kube makes DNS records of what a Kubernetes cluster holds, and keeps
// them in etcd as they should be.
//
//	objects ─► Options.Service, .Pod ─► State ─► Writer ─► authoritative/store ─► etcd
//
// What an object's records are is a pure function of it ([Options]): the
// Kubernetes DNS specification 1.1.0, with its clause numbers in the comments. A
// [State] holds the objects and the RRsets that follow from all of them, and
// notes which ones an event touches. A [Writer] makes etcd's records of one owner
// equal to the State: what was touched at once, all of it at the start and every
// resync.
//
// Objects come from a [Cluster] (client-go's reflectors) or from [Manifests], YAML
// files in a folder. A deletion that an event names is taken as said. One that only
// follows from a list, in which something is missing, is done by the full compare
// and held back by its brake where there are too many. What of an object has no place
// in DNS is logged, and said on the object by an event where that is allowed.
package kube
