package daemon

import "github.com/strata-dns/strata/core/daemon/admin"

// Ready tells whether the daemon serves: all tasks are ready, and it is neither
// draining nor still beside the process it takes over from.
func (d *Daemon) Ready() bool {
	return d.phase.Load() == running && !d.taking() && d.unready() == ""
}

// Alive tells whether no task has stopped moving.
func (d *Daemon) Alive() bool {
	for _, task := range d.tasks {
		if pulser, ok := task.(Pulser); ok && !pulser.Alive() {
			return false
		}
	}
	return true
}

// unready names the first task that is not ready and its reason, or nothing.
func (d *Daemon) unready() string {
	for _, t := range d.taskStates() {
		if t.Ready {
			continue
		}
		if t.Reason != "" {
			return t.Name + ": " + t.Reason
		}
		return t.Name
	}
	return ""
}

// taskStates asks every task how it is.
func (d *Daemon) taskStates() []admin.Task {
	states := make([]admin.Task, 0, len(d.tasks))
	for _, task := range d.tasks {
		state := admin.Task{Name: task.String(), Ready: task.Ready()}
		if reasoner, ok := task.(Reasoner); ok {
			state.Reason = reasoner.Reason()
		}
		states = append(states, state)
	}
	return states
}
