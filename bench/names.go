package main

import (
	"fmt"
	"strconv"
)

// origin is the zone of every workload. "example" is reserved (RFC 2606) but,
// unlike "test" or "invalid", no cache treats it specially.
const origin = "bench.example"

var (
	roles    = []string{"web", "db", "cache", "api", "mail", "build", "edge", "log", "queue", "search"}
	services = []string{"checkout", "cart", "inventory", "recommendation-engine", "auth", "payment-gateway", "image-resizer", "pricing", "session", "user-profile-store"}
	spaces   = []string{"prod", "staging", "team-logistics", "ml", "default", "platform-monitoring", "retail"}
	sites    = []string{"dc1", "dc2", "ams3", "sjc", "hkg-b"}
)

// hostName returns the i-th host's name relative to the zone, i < 1<<24. The
// five shapes are those a datacenter holds: plain hosts, hosts in a site, hosts
// named by address, pods, and cluster services; 6 to about 60 octets. Each
// carries i, so no two are equal.
func hostName(i int) string {
	r := scramble(uint64(i))
	pick := func(list []string) string {
		r = scramble(r)
		return list[r%uint64(len(list))]
	}
	id := strconv.FormatInt(int64(i), 36)
	switch r % 5 {
	case 0:
		return pick(roles) + "-" + id
	case 1:
		return fmt.Sprintf("%s-%07d.%s", pick(roles), i, pick(sites))
	case 2:
		return fmt.Sprintf("ip-10-%d-%d-%d.%s", i>>16&255, i>>8&255, i&255, pick(sites))
	case 3:
		service, space := pick(services), pick(spaces)
		return fmt.Sprintf("%s-%08x-%s.%s.pod", service, uint32(r>>32), id, space)
	default:
		service, space := pick(services), pick(spaces)
		return fmt.Sprintf("%s-%s.%s.svc.%s", service, id, space, pick(sites))
	}
}

// firstMissing is where the names begin that no zone here holds; they have the
// shapes of the others, so they end below the same branches.
const firstMissing = 10_000_000

// address is the i-th host's A record.
func address(i int) string {
	return fmt.Sprintf("10.%d.%d.%d", i>>16&255, i>>8&255, i&255)
}

// scramble is SplitMix64's output function: the same numbers in every run and
// on every machine.
func scramble(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
