// Package failover decides which site's servers are asked now.
//
// Servers stand in sites, one of which is home. Checks and exchanges report
// results; the results move each server along
//
//	       a failure            `fall` failures
//	up ──────────────► suspect ───────────────► down ◄──┐
//	▲ ◄──────────────────┘                        │     │ a check fails
//	│    a check answers                          ▼     │
//	└─────────────────────────────────────── probation ─┘
//	        `rise` checks answer in a row
//
// and the servers together move the fleet between home, swung and all-down:
//
//   - home: some home server answers, and home serves alone.
//   - swung: no home server was answering and another site's was; every site
//     that answers serves. Home alone comes back once one of its servers is up
//     again, which takes `rise` checks, and the hold-down since the swing has
//     passed. While home flaps the hold-down doubles, up to a cap; each calm
//     stretch at home halves it again.
//   - all-down: no server anywhere answers. All stay in the set, so that the
//     first to recover is found by whoever comes first, and the checks back off
//     to a cap.
//
// A site pinned by hand serves alone, whatever its state, until released; the
// machine goes on counting underneath, so that a release acts at once.
//
// # What counts as evidence
//
// Active checks are proof: they ask what no cache can hold. A passive result,
// one exchange made for clients, is a hint: a resolver answers from its cache
// while its way out is cut, and fails for a name whose own servers are dead. So
// a passive failure makes a server suspect, calls a check at once and counts
// towards `fall`, but no server goes down before one check of its own failed,
// and only checks bring one back. A check that refutes passive failures mutes
// them for a while, longer each time: a client who asks for dead names can
// neither bring a server down nor drive its checks. A hint that a server has fallen
// silent ([Fleet.Hint]) only calls a check, and is muted alike. So a loss that
// clients notice is decided within two checks' time, whatever the interval.
//
// # Order
//
// A set lists up servers first, then suspect, on probation, down; home before
// the others and as configured within each. The first [Set.Fit] are believed to
// answer. The rest are checked soon when none of those is up any more, so that one
// that has come back is found before its next check is due. Nobody waits on a
// dead server first.
//
// Time is an argument everywhere: the [Fleet] starts nothing and sends nothing.
// [Checker] is the task that runs the checks a fleet calls for.
package failover
