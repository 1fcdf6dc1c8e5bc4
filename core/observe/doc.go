// Package observe is what operators see of single queries: who and what is asked
// for most, a sampled query log, and dnstap.
//
//	worker ─► Tap ─► ring ─┐
//	worker ─► Tap ─► ring ─┼► pipe ─► top | query log | dnstap
//	late replies ──► ring ─┘
//
// A [Tap] belongs to one worker. It counts queries down to the next one that is
// looked at and copies that into rings, one for each kind of observer: without a
// lock, an allocation, or a wait. What does not fit is dropped and counted. Each
// kind has a goroutine that reads the rings; there are the tables, the formatting,
// and the files and sockets.
//
// Files: tap, event, ring, late (the worker's side); observer, pipe (between);
// saving, window, top (who is asked for most); querylog; dnstap; config, metrics.
package observe
