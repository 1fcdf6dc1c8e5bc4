//go:build ignore

// The XDP program of an interface that DPDK's driver net_af_xdp serves: queries for the
// service addresses go to the plane, all else goes to the kernel as if nothing were here.
// What is not as simple as a query mostly is goes to the kernel, too, whose sockets
// can answer it: tagged frames, IPv4 options, fragments, IPv6 extension headers.
//
// go generate makes steer.o of it, for little-endian machines.

#include <linux/bpf.h>

#define SECTION(name) __attribute__((section(name), used))
#define ALWAYS inline __attribute__((always_inline))
#define MAP_TYPE(n) int(*type)[n]
#define MAP_SIZE(n) int(*max_entries)[n]

static void *(*const map_lookup)(void *map, const void *key) = (void *)BPF_FUNC_map_lookup_elem;
static long (*const redirect_map)(void *map, __u64 key, __u64 fallback) = (void *)BPF_FUNC_redirect_map;

// What the plane takes of an address. claim.go has the same.
#define QUERIES 1 // datagrams for the port
#define PRESENCE 2 // ARP, neighbour discovery and echo: the kernel has not got the address

struct settings {
	__u16 mac[3];
	__be16 port;
};

struct address {
	__be32 words[4]; // IPv4's behind ::ffff:0:0/96
} __attribute__((packed));

// The driver puts the sockets of its queues in, by this name.
struct {
	MAP_TYPE(BPF_MAP_TYPE_XSKMAP);
	MAP_SIZE(256);
	__u32 *key;
	__u32 *value;
} xsks_map SECTION(".maps");

struct {
	MAP_TYPE(BPF_MAP_TYPE_ARRAY);
	MAP_SIZE(1);
	__u32 *key;
	struct settings *value;
} settings SECTION(".maps");

struct {
	MAP_TYPE(BPF_MAP_TYPE_HASH);
	MAP_SIZE(1024);
	struct address *key;
	__u32 *value;
} addresses SECTION(".maps");

#define BIG16(n) ((__be16)__builtin_bswap16(n))
#define BIG32(n) ((__be32)__builtin_bswap32(n))

struct ethernet {
	__u16 to[3], from[3];
	__be16 type;
} __attribute__((packed));

struct arp { // RFC 826, for IPv4 over Ethernet
	__u8 kinds[6];
	__be16 operation;
	__u8 sender[10], target_mac[6];
	__be32 target;
} __attribute__((packed));

struct ipv4 { // RFC 791 §3.1
	__u8 version_header, service;
	__be16 length, id, fragment;
	__u8 ttl, protocol;
	__be16 checksum;
	__be32 from, to;
} __attribute__((packed));

struct ipv6 { // RFC 8200 §3
	__be32 version_class_flow;
	__be16 length;
	__u8 next, hops;
	__u8 from[16];
	struct address to;
} __attribute__((packed));

struct udp {
	__be16 from, to, length, checksum;
} __attribute__((packed));

struct icmp { // and ICMPv6: RFC 792, RFC 4443 §2.1
	__u8 type, code;
	__be16 checksum;
	__u32 rest;
} __attribute__((packed));

// taken is what the plane takes of an address.
static ALWAYS __u32 taken(const struct address *a)
{
	__u32 *t = map_lookup(&addresses, a);

	return t ? *t : 0;
}

static ALWAYS __u32 taken4(__be32 word)
{
	struct address a = {{0, 0, BIG32(0xffff), word}};

	return taken(&a);
}

static ALWAYS __u32 taken6(const struct address *in)
{
	struct address a;

	__builtin_memcpy(&a, in, sizeof(a));
	return taken(&a);
}

// datagram is what the plane must take of an address for the datagram to be its; 0: the
// kernel's.
static ALWAYS __u32 datagram(const struct settings *s, const struct udp *u, const void *end)
{
	if ((const void *)(u + 1) > end || u->to != s->port)
		return 0;
	return QUERIES;
}

static ALWAYS int of_ipv4(const struct settings *s, const struct ipv4 *ip, const void *end)
{
	const struct icmp *echo = (const void *)(ip + 1);

	if ((const void *)(ip + 1) > end || ip->version_header != 0x45 || ip->fragment & BIG16(0x3fff))
		return 0;
	if (ip->protocol == 17)
		return taken4(ip->to) & datagram(s, (const void *)(ip + 1), end);
	if (ip->protocol == 1 && (const void *)(echo + 1) <= end && echo->type == 8)
		return taken4(ip->to) & PRESENCE;
	return 0;
}

static ALWAYS int of_ipv6(const struct settings *s, const struct ipv6 *ip, const void *end)
{
	const struct icmp *echo = (const void *)(ip + 1);

	if ((const void *)(ip + 1) > end)
		return 0;
	if (ip->next == 17)
		return taken6(&ip->to) & datagram(s, (const void *)(ip + 1), end);
	if (ip->next == 58 && (const void *)(echo + 1) <= end && echo->type == 128)
		return taken6(&ip->to) & PRESENCE;
	return 0;
}

// solicits tells of a neighbour solicitation for an address that the kernel has not got
// (RFC 4861 §4.3).
static ALWAYS int solicits(const struct ipv6 *ip, const void *end)
{
	const struct icmp *s = (const void *)(ip + 1);
	const struct address *target = (const void *)(s + 1);

	if ((const void *)(target + 1) > end || ip->next != 58 || s->type != 135)
		return 0;
	return taken6(target) & PRESENCE;
}

static ALWAYS int asks(const struct arp *a, const void *end)
{
	if ((const void *)(a + 1) > end || a->operation != BIG16(1))
		return 0;
	return taken4(a->target) & PRESENCE;
}

static ALWAYS int own(const struct settings *s, const struct ethernet *e)
{
	return s->mac[0] == e->to[0] && s->mac[1] == e->to[1] && s->mac[2] == e->to[2];
}

// planes tells whether a frame is the plane's.
static ALWAYS int planes(const struct settings *s, const struct ethernet *e, const void *end)
{
	const void *packet = e + 1;

	if (packet > end)
		return 0;
	if (e->type == BIG16(0x0806))
		return asks(packet, end);
	if (e->type == BIG16(0x86dd) && solicits(packet, end))
		return 1;
	if (!own(s, e))
		return 0;
	if (e->type == BIG16(0x0800))
		return of_ipv4(s, packet, end);
	if (e->type == BIG16(0x86dd))
		return of_ipv6(s, packet, end);
	return 0;
}

SECTION("xdp") int strata_dns(struct xdp_md *ctx)
{
	__u32 first = 0;
	const struct settings *s = map_lookup(&settings, &first);

	if (!s || !planes(s, (const void *)(long)ctx->data, (const void *)(long)ctx->data_end))
		return XDP_PASS;
	// A queue that nobody polls leaves it to the kernel.
	return redirect_map(&xsks_map, ctx->rx_queue_index, XDP_PASS);
}

char terms[] SECTION("license") = "Apache-2.0";
