// Package cache is the message cache of a resolver, and runs all that belongs to
// it: the one flight of each question that is not known, refreshes ahead of
// expiry, and the timers of stale answers (RFC 8767).
//
// A query goes one of two ways. [Cache.Answer] replies from memory, in the
// packet that asked, without a lock or an allocation. Where it reports [Miss],
// [Cache.Wait] joins the flight that already asks the question, or opens one
// through the [Fetch] the cache was made with; the reply comes later through a
// [Waiter].
//
// What is stored is written anew from the upstream's answer, record by record,
// so that nothing unrelated to the question and no broken name is ever served.
// Readers go through an index of atomic pointers. When it is full, the judge
// decides what is worth its bytes: what is asked for most often, as entries count
// themselves and a sketch tells of names not held. Expiry, staleness and
// refreshing are decided from each entry's own times.
package cache
