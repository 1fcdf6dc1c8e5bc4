package daemon

// IfNeverRun has f called where the tasks never run: the process was told to end while they
// were made, or the page or the control socket cannot be had. It is for what would outlive
// the process, such as a program of ours in the kernel.
func (d *Daemon) IfNeverRun(f func() error) { d.unrun = append(d.unrun, f) }

// Leave calls what IfNeverRun was given, unless Run has begun with the tasks, which see to it
// themselves then.
func (d *Daemon) Leave() {
	if d.phase.Load() != starting {
		return
	}
	for _, f := range d.unrun {
		if err := f(); err != nil {
			d.log.Error("leaving", "error", err)
		}
	}
}
