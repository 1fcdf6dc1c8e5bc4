//go:build dpdk

#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "turns.h"

// The signal by which Go's scheduler interrupts (runtime.sigPreempt).
#define INTERRUPTS SIGURG

// The signal on which a thread takes those again. Nothing else has a use for it here.
#define TAKES_AGAIN SIGRTMAX

static pthread_once_t once = PTHREAD_ONCE_INIT;
static int failed;

// take_again changes what the interrupted thread will block when this function is over.
static void take_again(int signal, siginfo_t *info, void *of)
{
	ucontext_t *interrupted = of;

	(void)signal;
	(void)info;
	sigdelset(&interrupted->uc_sigmask, INTERRUPTS);
}

// SA_ONSTACK: goroutines' stacks have no room for it.
static void install(void)
{
	struct sigaction a = {.sa_sigaction = take_again, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART};

	sigfillset(&a.sa_mask);
	failed = sigaction(TAKES_AGAIN, &a, NULL) ? errno : 0;
}

// strata_unsignalled has the calling thread be interrupted by calls alone. Where that cannot be
// undone it is not done.
void strata_unsignalled(void)
{
	sigset_t s;

	pthread_once(&once, install);
	if (failed)
		return;
	sigemptyset(&s);
	sigaddset(&s, INTERRUPTS);
	pthread_sigmask(SIG_BLOCK, &s, NULL);
}

// strata_signalled has a thread of this process be interrupted by signals again: it may come to
// run a loop without a call, and the collector would wait for that.
int strata_signalled(int id)
{
	pthread_once(&once, install);
	if (failed)
		return -failed;
	return syscall(SYS_tgkill, getpid(), id, TAKES_AGAIN) ? -errno : 0;
}
