//go:build dpdk

#define ALLOW_EXPERIMENTAL_API // rte_intr_instance_alloc and what fills it
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <linux/membarrier.h>

#include <rte_alarm.h>
#include <rte_interrupts.h>

#include "inside.h"

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct strata_visitor *visitors; // under the mutex

// Set on the thread of DPDK's interrupts alone.
static __thread int interrupts;

static int ending, ended; // that thread is to do nothing more; it does not

void strata_visitor(struct strata_visitor *v)
{
	pthread_mutex_lock(&mutex);
	v->next = visitors;
	visitors = v;
	pthread_mutex_unlock(&mutex);
}

void strata_visitor_end(struct strata_visitor *v)
{
	struct strata_visitor **at = &visitors;

	pthread_mutex_lock(&mutex);
	while (*at && *at != v)
		at = &(*at)->next;
	if (*at)
		*at = v->next;
	pthread_mutex_unlock(&mutex);
}

static void rest(long ns)
{
	struct timespec t = {.tv_nsec = ns};

	nanosleep(&t, NULL);
}

// An errand is done by DPDK's thread of interrupts.
struct errand {
	void (*f)(void *);
	void *with;
	int done;
};

static void run(void *e)
{
	struct errand *errand = e;

	errand->f(errand->with);
	__atomic_store_n(&errand->done, 1, __ATOMIC_RELEASE);
}

// strata_by_interrupts has DPDK's thread of interrupts call a function, which is how alarms
// are done, and returns when it has. Without memory for an alarm it is called here.
void strata_by_interrupts(void (*f)(void *), void *with)
{
	struct errand e = {f, with, 0};

	if (rte_eal_alarm_set(1, run, &e)) {
		f(with);
		return;
	}
	while (!__atomic_load_n(&e.done, __ATOMIC_ACQUIRE))
		rest(100000);
}

static void mark(void *at) { *(int **)at = &interrupts, interrupts = 1; }

// strata_keep_mapped has DPDK's thread of interrupts wait from now on.
int strata_keep_mapped(void)
{
	int *there = NULL;

	strata_by_interrupts(mark, &there);
	if (there == &interrupts) { // this thread was marked: there are no alarms
		interrupts = 0;
		return -ENOMEM;
	}
	syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0);
	return 0;
}

static void ignore(void *unused) { (void)unused; }

// strata_no_interrupts has DPDK's thread of interrupts do nothing any more. rte_eal_cleanup of
// 22.11 leaves it running, and unmaps the memory where it looks for what it is to watch. That
// it does anew whenever something is added, having closed what it watched by: there
// it stays, and holds no lock. A second is enough for it to come by.
void strata_no_interrupts(void)
{
	struct rte_intr_handle *h = rte_intr_instance_alloc(RTE_INTR_INSTANCE_F_PRIVATE);
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	__atomic_store_n(&ending, 1, __ATOMIC_RELEASE);
	if (h && fd >= 0 && !rte_intr_fd_set(h, fd) && !rte_intr_type_set(h, RTE_INTR_HANDLE_EXT) && !rte_intr_callback_register(h, ignore, NULL))
		for (int ms = 0; ms < 1000 && !__atomic_load_n(&ended, __ATOMIC_ACQUIRE); ms++)
			rest(1000000);
}

// everywhere has all CPUs of this process see what this thread has written, and this one
// what they have. A kernel without the call (or who forbids it) is given a millisecond,
// in which any CPU writes back what it has to.
static void everywhere(void)
{
	if (syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0))
		rest(1000000);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

// all_out returns once everybody has come out who was inside. Who goes in meanwhile sees
// what was written before. A burst takes microseconds; whoever has lost the CPU in the
// midst of one is waited for, however long that takes: nothing else is to be done here.
static void all_out(void)
{
	everywhere();
	pthread_mutex_lock(&mutex);
	for (struct strata_visitor *v = visitors; v; v = v->next) {
		uint64_t was = __atomic_load_n(&v->turns, __ATOMIC_ACQUIRE);

		while (was & 1 && __atomic_load_n(&v->turns, __ATOMIC_ACQUIRE) == was)
			rest(20000);
	}
	pthread_mutex_unlock(&mutex);
}

// watches tells whether a descriptor is epoll's, by which that thread sees what there is
// to do: closing one it is between two turns, and in no driver.
static int watches(int fd)
{
	char path[32], what[32];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	n = readlink(path, what, sizeof(what) - 1);
	return n > 0 && !strncmp(what, "anon_inode:[eventpoll]", n);
}

// The C library's functions of these names, by which the drivers reach them: the program
// comes before the libraries where a symbol is looked for. close is among them since a ring's
// descriptor may by then be another file's, to which a burst would write; mmap64 since a
// burst may have looked for the old mapping just before there is a new one.
int munmap(void *at, size_t length)
{
	if (interrupts)
		all_out();
	return syscall(SYS_munmap, at, length);
}

int close(int fd)
{
	if (interrupts && __atomic_load_n(&ending, __ATOMIC_ACQUIRE) && watches(fd)) {
		__atomic_store_n(&ended, 1, __ATOMIC_RELEASE);
		for (;;)
			pause();
	}
	if (interrupts)
		all_out();
	return syscall(SYS_close, fd);
}

void *mmap64(void *at, size_t length, int protection, int flags, int fd, off64_t offset)
{
	if (interrupts)
		all_out();
	return (void *)syscall(SYS_mmap, at, length, protection, flags, fd, offset);
}

// net_memif of 22.11 frees a connection whose first message cannot be sent, because its peer has
// gone, and leaves it among what that thread is to watch: the process ends of that. So the driver
// takes such a message for sent; it is told of the peer's end next, and forgets it as a whole.
ssize_t sendmsg(int fd, const struct msghdr *m, int flags)
{
	ssize_t n = syscall(SYS_sendmsg, fd, m, interrupts ? flags | MSG_NOSIGNAL : flags);

	if (n < 0 && interrupts && (errno == EPIPE || errno == ECONNRESET))
		for (size_t i = n = 0; i < m->msg_iovlen; i++)
			n += m->msg_iov[i].iov_len;
	return n;
}
