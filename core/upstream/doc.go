// Package upstream asks other name servers: one, or a set of which any may
// answer, over UDP, TCP and TLS.
//
// [Set.Ask] is asynchronous and costs neither goroutine, timer nor connection of
// its own. An [Engine] has a few shards; each owns UDP sockets, TCP connections,
// the questions in the air and a timer wheel, all under one lock that is not held
// while a query is sent or a reply read. One goroutine of a shard receives, in
// batches, from all of its sockets, unless somebody does it in its stead ([Engine.Tend]);
// another turns its wheel.
//
// Questions that are asked in a batch leave in one ([Engine.Hold]), and the answers that
// were received in one are handed over together ([Engine.Together]).
//
// A question lives as a flight: the server with the best round-trip time is asked
// first, another one when the first is later than its 95th percentile, and so
// on until an answer is good or the budget is over. A reply is believed when it
// comes from the address and port that were asked to the port that asked, with
// the ID, question and (with Mix0x20) case that were sent (RFC 5452 §9); all
// others are counted and otherwise ignored. What comes from the right server and
// makes no sense, or is no answer, sends the question to the next one. A reply
// that comes behind the budget is counted and dropped: nobody waits for it, and the
// next asker's question is a fresh one.
//
// Dependency order of the files: quantile, health, silence, choose (pure, driven by the
// time they are given); wheel, table, lots, ports, socket, conn (the shard's
// things); query, inspect, reply (wire form); flight, attempt (the life of a
// question); shard, receive, tend, hold, bundle, outbox (what runs it); address, server, tally, engine,
// set (what callers see).
package upstream
