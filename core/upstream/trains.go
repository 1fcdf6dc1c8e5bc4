package upstream

import "slices"

// A train is packets that become one message: some of one size, and one smaller behind
// them where there is one, by their places in the order.
type train struct{ from, to, tail uint8 }

const (
	tailless = bundleMost // of trains
	tailsFor = 2          // packets of one size: more are a train of their own, and can take a tail
)

// arrange puts packets into an order in which they make few messages: the largest first,
// and where there are hardly two of one size, as tails of what is larger, while there is
// something without. Names have many lengths: with each size as a message of its own, most
// questions would be one.
func (b *bundle) arrange(sends []datagram) {
	var sorted [bundleMost]uint32 // size, largest first, and index
	for i := range sends {
		sorted[i] = uint32(0xffff-sends[i].size())<<8 | uint32(i)
	}
	places := sorted[:len(sends)]
	slices.Sort(places)
	var trains [bundleMost]train
	var open [bundleMost]uint8 // trains without a tail
	count, free := 0, 0
	for from, to := 0, 0; from < len(places); from = to {
		for to = from + 1; to < len(places) && places[to]>>8 == places[from]>>8; to++ {
		}
		if n := to - from; n <= min(free, tailsFor) {
			for i := from; i < to; i++ {
				free--
				trains[open[free]].tail = uint8(i)
			}
			continue
		}
		trains[count] = train{uint8(from), uint8(to), tailless}
		if 0xffff-places[from]>>8 <= segmentMost {
			open[free] = uint8(count)
			free++
		}
		count++
	}
	b.order = b.order[:0]
	for _, t := range trains[:count] {
		for _, place := range places[t.from:t.to] {
			b.order = append(b.order, uint8(place))
		}
		if t.tail != tailless {
			b.order = append(b.order, uint8(places[t.tail]))
		}
	}
}
