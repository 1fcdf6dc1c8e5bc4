//go:build dpdk

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_log.h>
#include <rte_mbuf.h>

#include "burst.h"

static FILE *stream;

static void clean(void)
{
	strata_no_interrupts();
	rte_eal_cleanup();
}

// strata_eal starts DPDK's environment. What it logs goes to the descriptor log, and so does what
// is printed of arguments that it does not understand; Go writes by no stream of C's.
int strata_eal(int argc, char **argv, int log)
{
	FILE *out = stdout, *err = stderr;
	int e;

	stream = fdopen(log, "w");
	if (stream) {
		setvbuf(stream, NULL, _IOLBF, 0);
		rte_openlog_stream(stream);
		stdout = stderr = stream;
	}
	e = rte_eal_init(argc, argv) < 0 ? -rte_errno : 0;
	if (!e) {
		e = strata_keep_mapped();
		if (e)
			clean();
	}
	stdout = out;
	stderr = err;
	return e;
}

// strata_eal_mark writes a line into the log, behind all that was said before; 0 where there is
// no log.
int strata_eal_mark(const char *line) { return stream && fprintf(stream, "%s\n", line) > 0 && !fflush(stream); }

// strata_eal_end ends what strata_eal has begun, whether that went well or not.
void strata_eal_end(int code)
{
	if (!code)
		clean();
	rte_openlog_stream(NULL);
	if (stream)
		fclose(stream);
	stream = NULL;
}

const char *strata_error(int code) { return rte_strerror(code < 0 ? -code : code); }

// strata_device describes the nth port; 0 if there is none.
int strata_device(uint16_t nth, struct strata_device *d)
{
	struct rte_eth_dev_info info;
	struct rte_ether_addr mac;
	uint16_t id;

	RTE_ETH_FOREACH_DEV(id) {
		if (nth--)
			continue;
		if (rte_eth_dev_info_get(id, &info) || rte_eth_macaddr_get(id, &mac) || rte_eth_dev_get_name_by_port(id, d->name))
			return 0;
		snprintf(d->driver, sizeof(d->driver), "%s", info.driver_name);
		d->id = id;
		d->max_queues = RTE_MIN(info.max_rx_queues, info.max_tx_queues);
		d->socket = rte_eth_dev_socket_id(id);
		d->can_rx = info.rx_offload_capa;
		d->can_tx = info.tx_offload_capa;
		d->can_hash = info.flow_type_rss_offloads;
		if (!strcmp(d->driver, "net_ring")) { // it has none
			mac.addr_bytes[0] = RTE_ETHER_LOCAL_ADMIN_ADDR;
			mac.addr_bytes[5] = 1 + id;
		}
		memcpy(d->mac, mac.addr_bytes, sizeof(d->mac));
		return 1;
	}
	return 0;
}

// Descriptors of a ring, and buffers of a queue: both rings, two bursts in hand, the
// lcore's cache, and as many again for drivers that keep rings of their own.
#define RING 1024
#define CACHE 256
#define BUFFERS (4 * (RING + STRATA_BURST) + 2 * CACHE + 4096)

// strata_open makes a port ready and starts it. On failure *what is the step.
int strata_open(struct strata_device *d, uint16_t queues, const char **what)
{
	struct rte_eth_conf conf = {0};
	struct rte_eth_dev_info info;
	struct rte_eth_rxconf rx_conf;
	struct rte_eth_txconf tx_conf;
	uint16_t rx = RING, tx = RING;
	char name[32];
	int e;

#define STEP(name, call) do { *what = name; e = (call); if (e) return e; } while (0)
	STEP("ask for its abilities", rte_eth_dev_info_get(d->id, &info));
	tx_conf = info.default_txconf;
	rx_conf = info.default_rxconf;
	tx_conf.offloads = d->tx;
	rx_conf.offloads = d->rx;
	conf.rxmode.offloads = d->rx;
	conf.txmode.offloads = d->tx;
	conf.intr_conf.rxq = d->interrupts;
	if (queues > 1 && d->hash) { // a few resolvers reach all queues
		conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
		conf.rx_adv_conf.rss_conf.rss_hf = d->hash;
	}
	if (!d->pool) {
		*what = "make its buffers";
		snprintf(name, sizeof(name), "strata-%u", d->id);
		d->pool = rte_pktmbuf_pool_create(name, queues * BUFFERS, CACHE, 0, RTE_MBUF_DEFAULT_BUF_SIZE, d->socket);
		if (!d->pool)
			return -rte_errno;
	}
	STEP("configure it", rte_eth_dev_configure(d->id, queues, queues, &conf));
	STEP("size its rings", rte_eth_dev_adjust_nb_rx_tx_desc(d->id, &rx, &tx));
	for (uint16_t q = 0; q < queues; q++) {
		STEP("set up a receive queue", rte_eth_rx_queue_setup(d->id, q, rx, d->socket, &rx_conf, d->pool));
		STEP("set up a transmit queue", rte_eth_tx_queue_setup(d->id, q, tx, d->socket, &tx_conf));
	}
	STEP("start it", rte_eth_dev_start(d->id));
	// Solicitations come to groups. A port that cannot be told passes them anyway.
	rte_eth_allmulticast_enable(d->id);
	d->queues = queues;
	return 0;
}

// strata_buffers is how many octets a port's buffers are; net_af_xdp has the kernel lock them
// once for each queue.
uint64_t strata_buffers(const struct strata_device *d)
{
	return d->pool ? (uint64_t)d->pool->populated_size * rte_mempool_calc_obj_size(d->pool->elt_size, d->pool->flags, NULL) : 0;
}

// strata_linked tells whether the port has a link.
int strata_linked(const struct strata_device *d)
{
	struct rte_eth_link link;

	return !rte_eth_link_get_nowait(d->id, &link) && link.link_status == RTE_ETH_LINK_UP;
}

// strata_stats reads what the port has counted.
int strata_stats(const struct strata_device *d, struct strata_stats *s)
{
	struct rte_eth_stats of;
	int e = rte_eth_stats_get(d->id, &of);

	if (!e)
		*s = (struct strata_stats){
			.received = of.ipackets, .sent = of.opackets, .missed = of.imissed,
			.no_buffer = of.rx_nombuf, .rx_errors = of.ierrors, .tx_errors = of.oerrors,
		};
	return e;
}

static void stop(void *d) { rte_eth_dev_stop(((struct strata_device *)d)->id); }

static void shut(void *d) { rte_eth_dev_close(((struct strata_device *)d)->id); }

// as_one calls a function that ends something of a device. net_memif does the same where
// a peer vanishes, on the thread of interrupts, and has no lock for who does it twice at once:
// so it is that thread which does it, after whatever it is at.
static void as_one(void (*f)(void *), struct strata_device *d)
{
	if (strcmp(d->driver, "net_memif"))
		f(d);
	else
		strata_by_interrupts(f, d);
}

void strata_stop(struct strata_device *d) { as_one(stop, d); }

void strata_close(struct strata_device *d)
{
	as_one(shut, d);
	rte_mempool_free(d->pool);
}
