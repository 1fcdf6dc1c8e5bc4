//go:build dpdk

#ifndef STRATA_TURNS_H
#define STRATA_TURNS_H

// Go's scheduler ends a goroutine's turn after 10 ms: it asks at the next call of a function, and
// besides that by a signal. Who polls makes calls all the time, and goes on within a microsecond,
// unless another thread finds the goroutine first. It does where the signal comes just then: to
// handle it takes longer than all the rest.
void strata_unsignalled(void);
int strata_signalled(int id);

#endif
