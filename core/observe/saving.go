package observe

// saving counts the most frequent of a stream of keys in a fixed number of
// counters (Metwally, Agrawal, El Abbadi: space-saving, 2005): a key without a
// counter takes over the smallest one. For each key that is held,
//
//	true count ≤ count ≤ true count + err
//
// and one that is not held has at most floor.
type saving struct {
	size int
	at   map[string]int // where a key stands in heap
	heap []counter      // the smallest count first
}

type counter struct {
	key        string
	count, err uint64
}

func newSaving(size int) saving { return saving{size: size, at: map[string]int{}} }

// add counts a key once.
func (s *saving) add(key []byte) {
	if i, ok := s.at[string(key)]; ok {
		s.heap[i].count++
		s.down(i)
		return
	}
	if len(s.heap) < s.size {
		s.heap = append(s.heap, counter{string(key), 1, 0})
		s.at[s.heap[len(s.heap)-1].key] = len(s.heap) - 1
		s.up(len(s.heap) - 1)
		return
	}
	least := &s.heap[0]
	delete(s.at, least.key)
	*least = counter{string(key), least.count + 1, least.count}
	s.at[least.key] = 0
	s.down(0)
}

// floor is the most that a key may have that is not held.
func (s *saving) floor() uint64 {
	if len(s.heap) < s.size {
		return 0
	}
	return s.heap[0].count
}

func (s *saving) up(i int) {
	for i > 0 && s.heap[(i-1)/2].count > s.heap[i].count {
		s.swap(i, (i-1)/2)
		i = (i - 1) / 2
	}
}

func (s *saving) down(i int) {
	for {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < len(s.heap); child++ {
			if s.heap[child].count < s.heap[least].count {
				least = child
			}
		}
		if least == i {
			return
		}
		s.swap(i, least)
		i = least
	}
}

func (s *saving) swap(i, j int) {
	s.heap[i], s.heap[j] = s.heap[j], s.heap[i]
	s.at[s.heap[i].key], s.at[s.heap[j].key] = i, j
}
