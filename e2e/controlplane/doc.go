// Package controlplane runs a Kubernetes control plane on loopback: etcd, the API server
// and the controllers that make EndpointSlices, as real processes with their data in
// a folder. There are no nodes and no kubelets: who wants a Pod to be ready says so
// in its status.
//
// The program that is all of them is built by e2e/kube/build; [Program] finds it, or
// says why there is none.
package controlplane
