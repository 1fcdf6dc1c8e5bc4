// cares NAME PORT resolves by the ares_getaddrinfo of c-ares for any family, and
// connects to one address after the other. See doc.go.
#include <ares.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static long long start;

static long long now(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000LL + t.tv_nsec / 1000;
}

static void found(void *arg, int status, int timeouts, struct ares_addrinfo *all) {
	int *code = arg;
	(void)timeouts;
	if (status != ARES_SUCCESS) {
		fprintf(stderr, "%s\n", ares_strerror(status));
		puts(status == ARES_ENOTFOUND || status == ARES_ENODATA ? "none" : "again");
		*code = 0;
		return;
	}
	for (struct ares_addrinfo_node *a = all->nodes; a; a = a->ai_next) {
		int s = socket(a->ai_family, SOCK_STREAM, 0);
		if (s >= 0 && connect(s, a->ai_addr, a->ai_addrlen) == 0) {
			char host[64];
			getnameinfo(a->ai_addr, a->ai_addrlen, host, sizeof host, NULL, 0, NI_NUMERICHOST);
			printf("%s %lld\n", host, now() - start);
			*code = 0;
			break;
		}
		close(s);
	}
	ares_freeaddrinfo(all);
}

int main(int argc, char **argv) {
	if (argc != 3 || ares_library_init(ARES_LIB_INIT_ALL) != ARES_SUCCESS)
		return 2;
	ares_channel channel;
	if (ares_init(&channel) != ARES_SUCCESS)
		return 2;
	struct ares_addrinfo_hints hints;
	memset(&hints, 0, sizeof hints);
	hints.ai_family = AF_UNSPEC;
	hints.ai_socktype = SOCK_STREAM;
	int code = 1;
	start = now();
	ares_getaddrinfo(channel, argv[1], argv[2], &hints, found, &code);
	for (;;) {
		fd_set readers, writers;
		struct timeval limit, *wait;
		FD_ZERO(&readers);
		FD_ZERO(&writers);
		int n = ares_fds(channel, &readers, &writers);
		if (n == 0)
			break;
		wait = ares_timeout(channel, NULL, &limit);
		select(n, &readers, &writers, NULL, wait);
		ares_process(channel, &readers, &writers);
	}
	ares_destroy(channel);
	return code;
}
