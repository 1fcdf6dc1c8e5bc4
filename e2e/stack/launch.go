package stack

import (
	"os/exec"
	"runtime"
	"sync"
	"syscall"
)

// launcher is an OS thread that lives as long as this process and starts all
// others: the kernel sends PR_SET_PDEATHSIG when the thread that made a child
// ends (prctl(2)), not when the process does.
var launcher = sync.OnceValue(func() chan<- func() {
	work := make(chan func())
	go func() {
		runtime.LockOSThread()
		for f := range work {
			f()
		}
	}()
	return work
})

// Launch starts a command that does not outlive this process and gets no signal
// from its terminal.
func Launch(cmd *exec.Cmd) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	started := make(chan error)
	launcher() <- func() { started <- cmd.Start() }
	return <-started
}
