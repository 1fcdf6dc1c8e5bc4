//go:build dpdk

#ifndef STRATA_GAPS_H
#define STRATA_GAPS_H

#include <stdint.h>

// Long times between two polls are counted by their length. Those are multiples of the
// shortest one that is counted.
#define STRATA_GAPS 5
static const uint8_t strata_gap_times[STRATA_GAPS] = {1, 2, 4, 10, 20};

// strata_count_gap counts a gap with all that are no longer. Both in cycles.
static inline void strata_count_gap(uint64_t counts[STRATA_GAPS], uint64_t gap, uint64_t shortest)
{
	for (int i = 0; i < STRATA_GAPS && gap > strata_gap_times[i] * shortest; i++)
		counts[i]++;
}

#endif
