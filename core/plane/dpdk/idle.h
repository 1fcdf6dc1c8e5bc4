//go:build dpdk

#ifndef STRATA_IDLE_H
#define STRATA_IDLE_H

#include "burst.h"

int strata_rest(struct strata_lcore *l, uint32_t empty);
void strata_disarm(struct strata_lcore *l);
void strata_wait_end(struct strata_lcore *l);

#endif
