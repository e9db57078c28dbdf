package diagnose

import "fmt"

// stacks is the command that prints the stacks of all threads. None of them ends the process.
func (e *evaluation) stacks() string {
	pid := e.Holder.ID.PID
	switch e.Runtime {
	case Java:
		return fmt.Sprintf("jstack %d", pid)
	case Python:
		return fmt.Sprintf("py-spy dump --nonblocking --pid %d", pid)
	case Go:
		return "curl 'http://ADDRESS/debug/pprof/goroutine?debug=2' # if it serves net/http/pprof"
	case Node:
		return fmt.Sprintf("node inspect -p %d # opens its debugger, on the loopback address", pid)
	}
	return fmt.Sprintf("gdb -p %d -batch -ex 'thread apply all bt' # stops it for a moment", pid)
}

func (e *evaluation) again() string {
	return fmt.Sprintf("closewait_exporter diagnose %d # again, in a minute", e.Holder.ID.PID)
}
