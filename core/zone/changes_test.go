//go:build !race

package zone

const changes = 100_000
