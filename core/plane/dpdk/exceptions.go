package dpdk

// Exceptions is what went between the ports and exception interfaces, in frames.
type Exceptions struct {
	Up          uint64 // to the kernel
	UpDropped   uint64 // not: more waited than may, or the interface is down
	Down        uint64 // from the kernel, handed to a port
	DownDropped uint64 // not: more waited than may
	Interfaces  int    // how many there are
}
