//go:build dpdk

#ifndef STRATA_BURST_H
#define STRATA_BURST_H

#include <stdint.h>

#include "gaps.h"
#include "inside.h"

#define STRATA_BURST 64
#define STRATA_PORTS 8
#define STRATA_SIZES 7    // of bursts: 1, 2 to 3, 4 to 7, … 64
#define STRATA_SECONDS 64 // that are remembered, of which the last may be young

// What a port has found of a frame's checksums.
#define STRATA_IP_GOOD 1
#define STRATA_L4_GOOD 2

// A slot is one received frame, and what is to become of it: octets start to end
// are sent; end 0 drops it. Where l3 is not 0, the port sums the IP header, which
// begins at l2 and is as long as l3, and the datagram behind it.
struct strata_slot {
	uint8_t *data;
	uint32_t length, room;
	uint32_t start, end;
	uint8_t good, l2, l3;
};

struct strata_port {
	uint16_t id, queue;
	uint8_t flagged; // the port checks what it receives
	struct rte_mempool *pool;
};

// A second of an lcore's life, counted since the machine's start.
struct strata_second {
	uint64_t number, longest, busy; // cycles
};

// What an lcore without traffic does.
enum strata_idle { STRATA_SPIN, STRATA_NAP, STRATA_WAIT };

// What strata_poll says to a thread that has not taken the lcore over.
#define STRATA_MOVED 0xffff

// An lcore is what one polling thread works on. Only that thread writes it; its
// counters are read by others.
struct strata_lcore {
	struct strata_slot slot[STRATA_BURST];
	struct rte_mbuf *mbuf[STRATA_BURST];
	uint8_t via[STRATA_BURST]; // index in port
	uint16_t taken;            // slots in use
	uint16_t ports, turn;      // turn: whose queue is asked first
	uint16_t napped;           // the time since the last poll was slept
	uint16_t idle;             // enum strata_idle
	uint16_t armed;            // the ports tell of frames
	int wait, wake;            // descriptors of STRATA_WAIT: epoll's, and one to write to
	unsigned id;               // DPDK's number of it
	const void *poller;        // the thread that has taken it over; NULL: any may poll
	struct strata_port port[STRATA_PORTS];

	uint64_t began, entered, long_gap, hz, next_second; // cycles
	uint64_t busy, longest, gaps[STRATA_GAPS];
	uint64_t polls, bursts, sent, unsent, late, oversize, naps;
	uint64_t size[STRATA_SIZES]; // bursts, by the logarithm of what was in them
	struct strata_second *now, second[STRATA_SECONDS];

	struct strata_visitor visitor;

	// Others write it, to have the thread come back without a frame.
	uint32_t called __attribute__((aligned(64)));
};

struct strata_device {
	uint16_t id, queues;
	uint16_t max_queues;
	int socket;
	struct rte_mempool *pool;
	uint64_t can_rx, can_tx, can_hash; // offloads and RSS types the port has
	uint64_t rx, tx, hash;             // those to be used
	uint8_t interrupts;                // are asked for
	uint8_t mac[6];
	char name[64], driver[32];
};

// What a port has counted itself.
struct strata_stats {
	uint64_t received, sent, missed, no_buffer, rx_errors, tx_errors;
};

int strata_eal(int argc, char **argv, int log);
int strata_eal_mark(const char *line);
void strata_eal_end(int code);
int strata_device(uint16_t nth, struct strata_device *d);
int strata_open(struct strata_device *d, uint16_t queues, const char **what);
uint64_t strata_buffers(const struct strata_device *d);
void strata_stop(struct strata_device *d);
void strata_close(struct strata_device *d);
const char *strata_error(int code);
int strata_linked(const struct strata_device *d);
int strata_stats(const struct strata_device *d, struct strata_stats *s);
int strata_can_wait(struct strata_lcore *l, uint8_t via);

struct strata_lcore *strata_lcore(void);
void strata_lcore_end(struct strata_lcore *l);
int strata_register(void);
void strata_take_over(struct strata_lcore *l);
void strata_unregister(struct strata_lcore *l);
uint64_t strata_hz(void);
uint64_t strata_now(void);
uint16_t strata_poll(struct strata_lcore *l, uint16_t want, int wait);
int strata_late(struct strata_lcore *l, uint8_t via, const uint8_t *data, uint16_t length);

#endif
