package frame

// Sums are the checksums of a received frame that its port has found to be right.
type Sums uint8

const (
	GoodIP Sums = 1 << iota // of the IPv4 header
	GoodL4                  // of what the IP header is in front of
)
