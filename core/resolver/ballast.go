package resolver

// ballastSize is octets that count as heap and take no memory, as nobody touches them.
//
// The collector runs whenever as much was allocated as is in use, 4 MiB at least. A
// resolver with a small cache uses less than that, and a storm of misses has it run
// thirty times a second; each run stops the workers for a moment, and costs more for what
// is fixed about it than for what it finds. With ballast a quarter as many do; as much
// memory as the ballast may be taken by what is not collected yet. (GOGC would do the same
// to a large cache, too, of which it would let pile up several times its size.)
const ballastSize = 8 << 20

func newBallast() []byte { return make([]byte, ballastSize) }
