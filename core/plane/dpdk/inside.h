//go:build dpdk

#ifndef STRATA_INSIDE_H
#define STRATA_INSIDE_H

#include <stdint.h>

// Some drivers take the memory of their rings away on the thread of DPDK's interrupts
// while others may still be reading there: net_memif of DPDK 22.11 unmaps what a peer
// that vanished has shared, having only cleared a flag that each burst looks at in its
// beginning. So whoever receives or sends says when it is inside of a driver, and
// that thread waits, between the flag and the unmapping, until everybody has left who
// may have seen the flag as it was.
//
// A visitor says so of one thread at a time. In a cache line of its own: it is written
// twice in each burst.
struct strata_visitor {
	uint64_t turns __attribute__((aligned(64))); // odd while inside
	struct strata_visitor *next;
};

void strata_visitor(struct strata_visitor *v);
void strata_visitor_end(struct strata_visitor *v);
int strata_keep_mapped(void);
void strata_by_interrupts(void (*f)(void *), void *with);
void strata_no_interrupts(void);

// The store need not be seen before what follows is read: who waits sees to that, by a
// barrier on all CPUs of this process. The compiler has to keep the order.
static inline void strata_go_in(struct strata_visitor *v)
{
	__atomic_store_n(&v->turns, v->turns + 1, __ATOMIC_RELAXED);
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
}

static inline void strata_come_out(struct strata_visitor *v) { __atomic_store_n(&v->turns, v->turns + 1, __ATOMIC_RELEASE); }

#endif
