//go:build dpdk

#ifndef STRATA_BURST_H
#define STRATA_BURST_H

#include <stdint.h>

#define STRATA_BURST 64
#define STRATA_PORTS 8

// A slot is one received frame, and what is to become of it: octets start to end
// are sent; end 0 drops it.
struct strata_slot {
	uint8_t *data;
	uint32_t length, room;
	uint32_t start, end;
};

struct strata_port {
	uint16_t id, queue;
	struct rte_mempool *pool;
};

// An lcore is what one polling thread works on. Only that thread writes it; its
// counters are read by others.
struct strata_lcore {
	struct strata_slot slot[STRATA_BURST];
	struct rte_mbuf *mbuf[STRATA_BURST];
	uint8_t via[STRATA_BURST]; // index in port
	uint16_t taken;            // slots in use
	uint16_t ports, turn;      // turn: whose queue is asked first
	uint16_t napped;           // the time since the last poll was slept
	struct strata_port port[STRATA_PORTS];

	uint64_t began, entered, long_gap; // cycles
	uint64_t busy, longest, gaps;
	uint64_t polls, bursts, sent, unsent, late, oversize;
};

struct strata_device {
	uint16_t id, queues;
	uint16_t max_queues;
	int socket;
	struct rte_mempool *pool;
	uint8_t mac[6];
	char name[64], driver[32];
};

int strata_eal(int argc, char **argv, int log);
void strata_eal_end(int code);
int strata_device(uint16_t nth, struct strata_device *d);
int strata_open(struct strata_device *d, uint16_t queues, const char **what);
void strata_stop(struct strata_device *d);
void strata_close(struct strata_device *d);
const char *strata_error(int code);

struct strata_lcore *strata_lcore(void);
void strata_lcore_end(struct strata_lcore *l);
int strata_register(void);
void strata_unregister(void);
uint64_t strata_hz(void);
uint16_t strata_poll(struct strata_lcore *l, uint16_t want);
void strata_late(struct strata_lcore *l, uint8_t via, const uint8_t *data, uint16_t length);

#endif
