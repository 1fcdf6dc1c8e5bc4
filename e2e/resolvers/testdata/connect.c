// connect NAME PORT resolves by the C library's getaddrinfo for any family, and
// connects to one address after the other. See doc.go.
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static long long now(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000LL + t.tv_nsec / 1000;
}

int main(int argc, char **argv) {
	if (argc != 3)
		return 2;
	struct addrinfo hints, *all, *a;
	memset(&hints, 0, sizeof hints);
	hints.ai_socktype = SOCK_STREAM;
	long long start = now();
	int err = getaddrinfo(argv[1], argv[2], &hints, &all);
	if (err) {
		fprintf(stderr, "%s\n", gai_strerror(err));
		puts(err == EAI_AGAIN ? "again" : "none");
		return 0;
	}
	for (a = all; a; a = a->ai_next) {
		int s = socket(a->ai_family, a->ai_socktype, a->ai_protocol);
		if (s >= 0 && connect(s, a->ai_addr, a->ai_addrlen) == 0) {
			char host[64];
			getnameinfo(a->ai_addr, a->ai_addrlen, host, sizeof host, NULL, 0, NI_NUMERICHOST);
			printf("%s %lld\n", host, now() - start);
			return 0;
		}
		close(s);
	}
	fputs("no address takes connections\n", stderr);
	return 1;
}
