package socket

// A train is replies that become one message: some of one size, and one smaller behind
// them where there is one, by their places in the order.
type train struct{ from, to, tail uint8 }

const (
	tailless = maxBatch // of trains
	tailsFor = 2        // replies of one size: more are a train of their own, and can take a tail
)

// arrange has replies that are in order, each client's by size and the largest first, make
// few trains: where there are hardly two of one size, these are tails of what is larger,
// while there is something without. Most names have a length that is theirs alone in a
// batch; a message each is what replies cost.
func (o *outbox) arrange(order []uint64) {
	var trains [maxBatch]train
	var open [maxBatch]uint8 // trains of this client without a tail
	count, free := 0, 0
	for from, to := 0, 0; from < len(order); from = to {
		for to = from + 1; to < len(order) && order[to]>>8 == order[from]>>8; to++ {
		}
		if from > 0 && order[from]>>24 != order[from-1]>>24 {
			free = 0
		}
		if n := to - from; n <= min(free, tailsFor) {
			for i := from; i < to; i++ {
				free--
				trains[open[free]].tail = uint8(i)
			}
			continue
		}
		trains[count] = train{uint8(from), uint8(to), tailless}
		if sizeOf(order[from]) <= maxSegment {
			open[free] = uint8(count)
			free++
		}
		count++
	}
	if count == len(order) {
		return
	}
	var before [maxBatch]uint64
	copy(before[:], order)
	at := 0
	for _, t := range trains[:count] {
		at += copy(order[at:], before[t.from:t.to])
		if t.tail != tailless {
			order[at] = before[t.tail]
			at++
		}
	}
}

// sizeOf is the octets of the reply that has a place in the order.
func sizeOf(place uint64) int { return 0xffff - int(place>>8&0xffff) }
