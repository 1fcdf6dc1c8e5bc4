//go:build race

package cache

// raceDetector is on. sync.Pool forgets at random then, and with it ristretto
// forgets hits.
const raceDetector = true
