//go:build dpdk

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_ip.h>
#include <rte_mbuf.h>
#include <rte_udp.h>

#include "raw.h"

struct strata_raw *strata_raw(uint16_t id, uint16_t queues, struct rte_mempool *pool)
{
	struct strata_raw *r = NULL;

	if (posix_memalign((void **)&r, RTE_CACHE_LINE_SIZE, sizeof(*r)))
		return NULL;
	memset(r, 0, sizeof(*r));
	r->id = id;
	r->queues = queues;
	r->pool = pool;
	strata_visitor(&r->visitor);
	return r;
}

void strata_raw_end(struct strata_raw *r)
{
	rte_pktmbuf_free_bulk(r->in_mbuf, r->taken);
	rte_pktmbuf_free_bulk(r->out_mbuf, r->ready);
	strata_visitor_end(&r->visitor);
	free(r);
}

// beat keeps the longest time between two polls.
static void beat(struct strata_raw *r)
{
	uint64_t now = rte_rdtsc();

	if (r->polls++) {
		uint64_t gap = now - r->now;

		if (gap > r->longest)
			r->longest = gap;
		if (unlikely(gap > r->long_gap))
			strata_count_gap(r->gaps, gap, r->long_gap);
	}
	r->now = now;
}

// refill has a whole burst of frames ready to be filled.
static int refill(struct strata_raw *r)
{
	if (r->ready == STRATA_RAW_BURST)
		return 0;
	if (rte_pktmbuf_alloc_bulk(r->pool, r->out_mbuf + r->ready, STRATA_RAW_BURST - r->ready))
		return -ENOMEM;
	for (; r->ready < STRATA_RAW_BURST; r->ready++) {
		struct rte_mbuf *m = r->out_mbuf[r->ready];

		r->out[r->ready].data = rte_pktmbuf_mtod(m, uint8_t *);
		r->out[r->ready].room = rte_pktmbuf_tailroom(m);
	}
	return 0;
}

// take_burst and give_burst are DPDK's, with who is inside of the driver told.
static uint16_t take_burst(struct strata_raw *r, uint16_t queue, struct rte_mbuf **m, uint16_t n)
{
	strata_go_in(&r->visitor);
	n = rte_eth_rx_burst(r->id, queue, m, n);
	strata_come_out(&r->visitor);
	return n;
}

static uint16_t give_burst(struct strata_raw *r, uint16_t queue, struct rte_mbuf **m, uint16_t n)
{
	strata_go_in(&r->visitor);
	n = rte_eth_tx_burst(r->id, queue, m, n);
	strata_come_out(&r->visitor);
	return n;
}

static void transmit(struct strata_raw *r, uint16_t send)
{
	uint16_t sent;

	for (uint16_t i = 0; i < send; i++)
		r->out_mbuf[i]->data_len = r->out_mbuf[i]->pkt_len = r->out[i].length;
	sent = give_burst(r, r->turn, r->out_mbuf, send);
	if (++r->turn >= r->queues)
		r->turn = 0;
	r->kept = send - sent;
	r->ready -= sent;
	memmove(r->out_mbuf, r->out_mbuf + sent, r->ready * sizeof(r->out_mbuf[0]));
	memmove(r->out, r->out + sent, r->ready * sizeof(r->out[0]));
}

static void receive(struct strata_raw *r)
{
	rte_pktmbuf_free_bulk(r->in_mbuf, r->taken);
	r->taken = 0;
	for (uint16_t q = 0; q < r->queues && r->taken < STRATA_RAW_BURST; q++)
		r->taken += take_burst(r, (r->turn + q) % r->queues, r->in_mbuf + r->taken, STRATA_RAW_BURST - r->taken);
	for (uint16_t i = 0; i < r->taken; i++) {
		struct rte_mbuf *m = r->in_mbuf[i];

		r->in[i].data = rte_pktmbuf_mtod(m, uint8_t *);
		r->in[i].length = m->data_len;
		rte_prefetch0(r->in[i].data);
	}
}

// strata_raw_exchange sends the first frames of out, gives back what was received
// before, and receives what has come since. What the port did not take stays in front.
// Negative: no buffers.
int strata_raw_exchange(struct strata_raw *r, uint16_t send)
{
	int e;

	r->kept = 0;
	if (send)
		transmit(r, send);
	e = refill(r);
	if (e)
		return e;
	receive(r);
	beat(r);
	return r->taken;
}

// turn makes an IPv4 query its own reply: addresses and ports swapped, QR set.
static int turn(struct rte_mbuf *m)
{
	struct rte_ether_hdr *e = rte_pktmbuf_mtod(m, struct rte_ether_hdr *);
	struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)(e + 1);
	struct rte_udp_hdr *udp = (struct rte_udp_hdr *)(ip + 1);
	uint8_t *dns = (uint8_t *)(udp + 1);
	struct rte_ether_addr mac = e->src_addr;
	uint32_t address = ip->src_addr, s;
	uint16_t port = udp->src_port;

	if (m->data_len < sizeof(*e) + sizeof(*ip) + sizeof(*udp) + 12 || e->ether_type != rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV4) ||
	    ip->version_ihl != RTE_IPV4_VHL_DEF || ip->next_proto_id != IPPROTO_UDP)
		return 0;
	e->src_addr = e->dst_addr;
	e->dst_addr = mac;
	ip->src_addr = ip->dst_addr;
	ip->dst_addr = address;
	udp->src_port = udp->dst_port;
	udp->dst_port = port;
	dns[2] |= 0x80;
	if (udp->dgram_cksum) { // RFC 1624: 0x8000 more in the sum
		s = (uint16_t)~rte_be_to_cpu_16(udp->dgram_cksum) + 0x8000;
		s = (s & 0xffff) + (s >> 16);
		udp->dgram_cksum = rte_cpu_to_be_16(s == 0xffff ? 0xffff : (uint16_t)~s);
	}
	return 1;
}

// strata_raw_echo answers all there is to receive for that long, by nothing else than
// turning it round.
void strata_raw_echo(struct strata_raw *r, uint64_t cycles)
{
	struct rte_mbuf *m[STRATA_RAW_BURST];
	uint64_t end = rte_rdtsc() + cycles;

	do {
		for (uint16_t q = 0; q < r->queues; q++) {
			uint16_t n = take_burst(r, q, m, STRATA_RAW_BURST), k = 0, sent;

			for (uint16_t i = 0; i < n; i++)
				rte_prefetch0(rte_pktmbuf_mtod(m[i], void *));
			for (uint16_t i = 0; i < n; i++)
				if (turn(m[i]))
					m[k++] = m[i];
				else
					rte_pktmbuf_free(m[i]);
			sent = k ? give_burst(r, q, m, k) : 0;
			r->echoed += sent;
			r->unsent += k - sent;
			rte_pktmbuf_free_bulk(m + sent, k - sent);
		}
		beat(r);
	} while (r->now < end);
}
