//go:build race

package cache

// raceDetector is on: everything takes many times as long.
const raceDetector = true
