//go:build dpdk

#include <stdlib.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_lcore.h>
#include <rte_mbuf.h>

#include "burst.h"
#include "idle.h"

struct strata_lcore *strata_lcore(void)
{
	struct strata_lcore *l = NULL;

	if (posix_memalign((void **)&l, RTE_CACHE_LINE_SIZE, sizeof(*l)))
		return NULL;
	memset(l, 0, sizeof(*l));
	l->hz = rte_get_tsc_hz();
	l->now = l->second;
	l->wait = l->wake = -1;
	strata_visitor(&l->visitor);
	return l;
}

// What was received and not settled goes back to its pool.
void strata_lcore_end(struct strata_lcore *l)
{
	rte_pktmbuf_free_bulk(l->mbuf, l->taken);
	strata_wait_end(l);
	strata_visitor_end(&l->visitor);
	free(l);
}

// What the thread has taken over last. Its address tells threads apart.
static __thread const struct strata_lcore *mine;

static inline int here(const struct strata_lcore *l)
{
	return !l->poller || (l->poller == &mine && mine == l);
}

// strata_register gives the calling thread a number of DPDK's, and by it a cache of its own
// in front of each pool.
int strata_register(void) { return rte_thread_register() < 0 ? -rte_errno : (int)rte_lcore_id(); }

// strata_take_over has the calling thread be who polls from now on, and the number be
// its. The one before has it, too, and uses no pool any more.
void strata_take_over(struct strata_lcore *l)
{
	RTE_PER_LCORE(_lcore_id) = l->id;
	l->poller = &mine;
	mine = l;
}

// strata_unregister gives the number back.
void strata_unregister(struct strata_lcore *l)
{
	RTE_PER_LCORE(_lcore_id) = l->id;
	rte_thread_unregister();
	l->poller = mine = NULL;
}

uint64_t strata_hz(void) { return rte_get_tsc_hz(); }

uint64_t strata_now(void) { return rte_rdtsc(); }

// turn_second begins to count the second that now lies in, over the one of a minute
// ago. Who reads meanwhile leaves out what has no number.
static void turn_second(struct strata_lcore *l, uint64_t now)
{
	uint64_t number = now / l->hz;

	l->now = &l->second[number % STRATA_SECONDS];
	__atomic_store_n(&l->now->number, 0, __ATOMIC_RELEASE);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	l->now->longest = l->now->busy = 0;
	__atomic_store_n(&l->now->number, number, __ATOMIC_RELEASE);
	l->next_second = (number + 1) * l->hz;
}

// clock_poll keeps the time between polls; who had frames in hand was busy.
static void clock_poll(struct strata_lcore *l)
{
	uint64_t now = rte_rdtsc(), gap = now - l->entered;

	if (unlikely(now >= l->next_second))
		turn_second(l, now);
	if (unlikely(!l->began)) {
		l->began = now;
	} else if (l->napped) {
		l->napped = 0;
	} else {
		if (l->taken) {
			l->busy += gap;
			l->now->busy += gap;
		}
		if (gap > l->now->longest) {
			l->now->longest = gap;
			if (gap > l->longest)
				l->longest = gap;
		}
		if (unlikely(gap > l->long_gap))
			strata_count_gap(l->gaps, gap, l->long_gap);
	}
	l->entered = now;
	l->polls++;
}

static void transmit(struct strata_lcore *l, uint8_t via, struct rte_mbuf **m, uint16_t n)
{
	struct strata_port *p = &l->port[via];
	uint16_t sent;

	strata_go_in(&l->visitor);
	sent = rte_eth_tx_burst(p->id, p->queue, m, n);
	strata_come_out(&l->visitor);
	l->sent += sent;
	l->unsent += n - sent;
	if (sent < n) // dropped rather than queued
		rte_pktmbuf_free_bulk(m + sent, n - sent);
}

// offload has the port write the checksums of a reply.
static void offload(struct rte_mbuf *m, const struct strata_slot *s)
{
	m->l2_len = s->l2;
	m->l3_len = s->l3;
	m->ol_flags |= RTE_MBUF_F_TX_UDP_CKSUM;
	m->ol_flags |= s->l3 == 20 ? RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IP_CKSUM : RTE_MBUF_F_TX_IPV6;
}

// settle sends what has been answered, each by the port it came from, and drops
// the rest.
static void settle(struct strata_lcore *l)
{
	struct rte_mbuf *out[STRATA_PORTS][STRATA_BURST], *drop[STRATA_BURST];
	uint16_t n[STRATA_PORTS] = {0}, dropped = 0;

	for (uint16_t i = 0; i < l->taken; i++) {
		struct strata_slot *s = &l->slot[i];
		struct rte_mbuf *m = l->mbuf[i];

		if (!s->end) {
			drop[dropped++] = m;
			continue;
		}
		m->data_off += s->start;
		m->data_len = m->pkt_len = s->end - s->start;
		m->ol_flags &= RTE_MBUF_F_INDIRECT | RTE_MBUF_F_EXTERNAL; // not what was found of it
		if (s->l3)
			offload(m, s);
		out[l->via[i]][n[l->via[i]]++] = m;
	}
	l->taken = 0;
	for (uint16_t p = 0; p < l->ports; p++)
		if (n[p])
			transmit(l, p, out[p], n[p]);
	if (dropped)
		rte_pktmbuf_free_bulk(drop, dropped);
}

// good is what the port vouches for. Where it does not, or says bad, we look
// ourselves: some cards call a datagram bad that has gone without a checksum. NONE is
// what a port says that has got it from this machine, over no wire.
static uint8_t good(const struct rte_mbuf *m)
{
	uint64_t ip = m->ol_flags & RTE_MBUF_F_RX_IP_CKSUM_MASK, l4 = m->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK;
	uint8_t is = 0;

	if (ip == RTE_MBUF_F_RX_IP_CKSUM_GOOD)
		is |= STRATA_IP_GOOD;
	if (l4 == RTE_MBUF_F_RX_L4_CKSUM_GOOD || l4 == RTE_MBUF_F_RX_L4_CKSUM_NONE)
		is |= STRATA_L4_GOOD;
	return is;
}

// enter makes a received buffer the next slot.
static void enter(struct strata_lcore *l, struct rte_mbuf *m, uint8_t via)
{
	struct strata_slot *s = &l->slot[l->taken];

	if (unlikely(m->nb_segs != 1)) {
		l->oversize++;
		rte_pktmbuf_free(m);
		return;
	}
	s->data = rte_pktmbuf_mtod(m, uint8_t *);
	s->length = m->data_len;
	s->room = m->buf_len - m->data_off;
	s->start = s->end = 0;
	s->good = l->port[via].flagged ? good(m) : 0;
	s->l2 = s->l3 = 0;
	rte_prefetch0(s->data);
	rte_prefetch0(s->data + RTE_CACHE_LINE_SIZE); // the question's end
	l->mbuf[l->taken] = m;
	l->via[l->taken++] = via;
}

// receive takes a burst of at most want frames from all ports. Vector drivers want
// room for 32, so less is not asked for.
static void receive(struct strata_lcore *l, uint16_t want)
{
	struct rte_mbuf *in[STRATA_BURST];

	for (uint16_t k = 0; k < l->ports && (!l->taken || want - l->taken >= STRATA_BURST / 2) && l->taken < want; k++) {
		uint8_t via = l->turn + k < l->ports ? l->turn + k : l->turn + k - l->ports;
		struct strata_port *p = &l->port[via];
		uint16_t n;

		strata_go_in(&l->visitor);
		n = rte_eth_rx_burst(p->id, p->queue, in, want - l->taken);
		strata_come_out(&l->visitor);
		for (uint16_t i = 0; i < n; i++)
			enter(l, in[i], via);
	}
	if (++l->turn >= l->ports)
		l->turn = 0;
}

// strata_poll sends the last burst and receives the next, of at most want frames. If it
// is to wait it comes back with a frame, or when it is called; with want 0 at once. Nothing
// is done for a thread that must take the lcore over first.
uint16_t strata_poll(struct strata_lcore *l, uint16_t want, int wait)
{
	uint32_t empty = 0;

	if (unlikely(!here(l)))
		return STRATA_MOVED;
	clock_poll(l);
	if (l->taken)
		settle(l);
	receive(l, want);
	while (!l->taken && wait && want && !__atomic_load_n(&l->called, __ATOMIC_ACQUIRE)) {
		if (strata_rest(l, ++empty))
			l->napped = 1;
		clock_poll(l);
		receive(l, want);
	}
	if (l->armed)
		strata_disarm(l);
	if (l->taken) {
		l->bursts++;
		l->size[31 - __builtin_clz(l->taken)]++;
	}
	return l->taken;
}

// strata_late sends one frame that belongs to no burst; negative for a thread that must take
// the lcore over first.
int strata_late(struct strata_lcore *l, uint8_t via, const uint8_t *data, uint16_t length)
{
	struct rte_mbuf *m;
	uint64_t sent = l->sent;
	char *to;

	if (!here(l))
		return -1;
	m = rte_pktmbuf_alloc(l->port[via].pool);
	to = m ? rte_pktmbuf_append(m, length) : NULL;
	if (!to) {
		rte_pktmbuf_free(m);
		l->unsent++;
		return 0;
	}
	memcpy(to, data, length);
	transmit(l, via, &m, 1);
	l->late += l->sent - sent;
	return 0;
}
