package zone

import (
	"bytes"

	"github.com/strata-dns/strata/core/wire"
)

// canonical compares two folded names in the order of RFC 4034 §6.1: by their last
// labels first, each as octets, and a name before those below it.
func canonical(a, b []byte) int {
	var atA, atB [wire.MaxLabels + 1]uint8
	i, j := labels(a, &atA), labels(b, &atB)
	for i > 0 && j > 0 {
		i--
		j--
		p, q := int(atA[i]), int(atB[j])
		if c := bytes.Compare(a[p+1:p+1+int(a[p])], b[q+1:q+1+int(b[q])]); c != 0 {
			return c
		}
	}
	return i - j
}

// labels finds where a name's labels begin, and how many they are without the root.
func labels(name []byte, at *[wire.MaxLabels + 1]uint8) (n int) {
	for i := 0; name[i] != 0; i += 1 + int(name[i]) {
		at[n] = uint8(i)
		n++
	}
	return n
}
