//go:build race

package zone

const changes = 10_000
