//go:build dpdk

#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <rte_ethdev.h>
#include <rte_pause.h>

#include "idle.h"

// An lcore that may rest does so after as many empty polls, some tenths of a
// millisecond of them.
#define PATIENCE 2000

// A nap is 50 µs at first and 500 µs after a dozen: what comes then waits for half a
// millisecond at most, and the CPU is idle for 99 % of the time.
static void nap(struct strata_lcore *l, uint32_t nth)
{
	struct timespec t = {.tv_nsec = RTE_MIN(50000 + 40000 * (uint64_t)nth, UINT64_C(500000))};

	nanosleep(&t, NULL);
	l->naps++;
}

// arm has the ports tell of frames by their descriptors. Drivers whose descriptor is the
// device itself need not be told to.
static void arm(struct strata_lcore *l)
{
	for (uint16_t i = 0; i < l->ports; i++)
		rte_eth_dev_rx_intr_enable(l->port[i].id, l->port[i].queue);
	l->armed = 1;
}

// strata_disarm has them tell no more.
void strata_disarm(struct strata_lcore *l)
{
	for (uint16_t i = 0; i < l->ports; i++)
		rte_eth_dev_rx_intr_disable(l->port[i].id, l->port[i].queue);
	l->armed = 0;
}

// wait_frames waits until a port tells of a frame, or somebody calls. A frame that came
// before the port was armed is not told of: it is looked for once more in between.
static int wait_frames(struct strata_lcore *l)
{
	struct epoll_event e[STRATA_PORTS + 1];

	if (!l->armed) {
		arm(l);
		return 0;
	}
	epoll_wait(l->wait, e, STRATA_PORTS + 1, -1);
	strata_disarm(l);
	l->naps++;
	return 1;
}

// strata_rest does what an lcore does after as many empty polls in a row, and tells
// whether it slept.
int strata_rest(struct strata_lcore *l, uint32_t empty)
{
	if (l->idle == STRATA_SPIN || empty <= PATIENCE) {
		rte_pause();
		return 0;
	}
	if (l->idle == STRATA_WAIT)
		return wait_frames(l);
	nap(l, empty - PATIENCE - 1);
	return 1;
}

// watch adds a descriptor to those that are waited for. Edges are: nothing has to be
// read from a descriptor then, whatever it is of.
static int watch(struct strata_lcore *l, int fd)
{
	struct epoll_event e = {.events = EPOLLIN | EPOLLET, .data.fd = fd};

	return epoll_ctl(l->wait, EPOLL_CTL_ADD, fd, &e) && errno != EEXIST ? -errno : 0;
}

// strata_can_wait has the lcore wait for its queue of a port, too; ENOTSUP where its
// driver has no interrupts.
int strata_can_wait(struct strata_lcore *l, uint8_t via)
{
	int fd = rte_eth_dev_rx_intr_ctl_q_get_fd(l->port[via].id, l->port[via].queue);
	int e;

	if (fd < 0)
		return -ENOTSUP;
	if (l->wait < 0) {
		l->wait = epoll_create1(EPOLL_CLOEXEC);
		l->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (l->wait < 0 || l->wake < 0)
			return -errno;
		e = watch(l, l->wake);
		if (e)
			return e;
	}
	return watch(l, fd);
}

// strata_wait_end closes what strata_can_wait has opened.
void strata_wait_end(struct strata_lcore *l)
{
	if (l->wait >= 0)
		close(l->wait);
	if (l->wake >= 0)
		close(l->wake);
}
