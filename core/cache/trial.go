package cache

// A trial is the line of entries that are on trial, by key: what replaces an entry
// on trial takes its place. Keys that are not held any more stay in line.
type trial struct {
	line  []tried
	gone  int // how many have left the line's front
	bytes int64
}

type tried struct {
	key  uint64
	cost uint32
}

func (t *trial) push(e *entry) {
	if t.gone > len(t.line)/2 { // make room at the front
		t.line = t.line[:copy(t.line, t.line[t.gone:])]
		t.gone = 0
	}
	t.line = append(t.line, tried{e.key, e.cost()})
	t.bytes += int64(e.cost())
}

// waiting is how many keys are in line.
func (t *trial) waiting() int { return len(t.line) - t.gone }

// pop takes the key that has been in line for longest. There is one.
func (t *trial) pop() uint64 {
	first := t.line[t.gone]
	t.gone++
	t.bytes -= int64(first.cost)
	return first.key
}
