//go:build dpdk

#ifndef STRATA_RAW_H
#define STRATA_RAW_H

#include <stdint.h>

#include "gaps.h"
#include "inside.h"

#define STRATA_RAW_BURST 64

// A frame to be sent: the first length octets at data, of room. A received one: all
// of its octets.
struct strata_raw_frame {
	uint8_t *data;
	uint32_t length, room;
};

// What one thread sends and receives by, all queues of one port.
struct strata_raw {
	struct strata_raw_frame in[STRATA_RAW_BURST], out[STRATA_RAW_BURST];
	struct rte_mbuf *in_mbuf[STRATA_RAW_BURST], *out_mbuf[STRATA_RAW_BURST];
	struct rte_mempool *pool;
	uint16_t id, queues, turn; // turn: the queue that is next
	uint16_t taken, ready;     // frames received; frames there are to be filled
	uint16_t kept;             // of those last handed to be sent: not taken by the port
	uint64_t now;              // cycles, when the last burst had been received
	uint64_t polls, longest;   // cycles, the longest between two polls
	uint64_t long_gap, gaps[STRATA_GAPS];
	uint64_t echoed, unsent;   // of strata_raw_echo
	struct strata_visitor visitor;
};

struct strata_raw *strata_raw(uint16_t id, uint16_t queues, struct rte_mempool *pool);
void strata_raw_end(struct strata_raw *r);
int strata_raw_exchange(struct strata_raw *r, uint16_t send);
void strata_raw_echo(struct strata_raw *r, uint64_t cycles);

#endif
