package store

import (
	"net"
	"net/url"
	"slices"
	"strings"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3client"
)

// An inside is a member in the client's own process, asked by calls. From etcd's commit
// to its event at a watch there is then no HTTP/2, no marshalling, no socket and no
// thread that has to wake up for one: half a put's way to a watch, beside the disk.
type inside struct {
	member *Member
	etcd   *clientv3.Client
}

// Enter has a client ask a member of its own process by calls from now on, and says
// whether it does: where it has other members to ask too, it must be able to when this
// one is cut off from them, and where it has a user, that is known by its connection.
// The client ends before the member does.
func (c *Client) Enter(m *Member) bool {
	if c.opts.User != "" || !c.reaches(m) {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || c.inside != nil {
		return c.inside != nil
	}
	c.inside = &inside{member: m, etcd: v3client.New(m.etcd.Server)}
	return true
}

// reaches tells whether all endpoints are a member's.
func (c *Client) reaches(m *Member) bool {
	its := make(map[string]bool)
	for _, endpoint := range m.Endpoints() {
		its[place(endpoint)] = true
	}
	return !slices.ContainsFunc(c.opts.Endpoints, func(endpoint string) bool { return !its[place(endpoint)] })
}

// place is where an endpoint is, as text that can be compared.
func place(endpoint string) string {
	u, err := url.Parse(endpoint)
	if err != nil || u.Scheme != "http" {
		return endpoint
	}
	host := strings.ToLower(u.Hostname())
	if host == "localhost" {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, u.Port())
}

// conn gives the client, or an error where the member has no leader: etcd's own listener
// would refuse the request for it, and a call waits for one.
func (i *inside) conn() (*clientv3.Client, error) {
	if i.member.etcd.Server.Leader() == 0 {
		return nil, rpctypes.ErrNoLeader
	}
	return i.etcd, nil
}
