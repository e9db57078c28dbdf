package systemd

import (
	"fmt"
	"slices"
	"strings"
	"syscall"

	"closewait_exporter/closewait"
)

// service has the properties of a service that decide what happens after its main process has
// ended: org.freedesktop.systemd1(5), systemd.service(5).
type service struct {
	name            string
	mainPID         uint32 // 0: none
	active          bool   // it runs, and nothing is about to stop it
	state           string // ActiveState, for people
	kind            string // Type=
	exitType        string // main, or cgroup: the service lasts as long as any of its processes
	restart         string // Restart=
	remainAfterExit bool
	success         statusSet // SuccessExitStatus=
	prevent         statusSet // RestartPreventExitStatus=
	force           statusSet // RestartForceExitStatus=
	sockets         []string  // the active socket units that start it
}

// restarts reports whether systemd starts the service again after an outcome of its main process:
// service_shall_restart in src/core/service.c.
func (s *service) restarts(o outcome) bool {
	clean := s.clean(o)
	switch {
	case s.staysActive(clean), s.prevent.has(o):
		return false
	case s.force.has(o):
		return true
	}
	switch s.restart {
	case "always":
		return true
	case "on-success":
		return clean
	case "on-failure":
		return !clean
	case "on-abnormal", "on-abort":
		return !clean && o.ending != exited
	}
	return false // no, on-watchdog
}

// clean reports whether an outcome is a success: is_clean_exit in src/shared/exit-status.c.
func (s *service) clean(o outcome) bool {
	switch o.ending {
	case exited:
		return o.status == 0 || s.success.has(o)
	case killed:
		return s.kind != oneshot && slices.ContainsFunc(cleanSignals, func(c syscall.Signal) bool { return int32(c) == o.status }) || s.success.has(o)
	}
	return false
}

const oneshot = "oneshot"

// staysActive reports whether the service remains active without its main process. Then nothing
// starts that again.
func (s *service) staysActive(clean bool) bool {
	return clean && s.remainAfterExit || s.exitType == "cgroup"
}

// startedBySocket reports whether the next connection starts the service after an outcome.
func (s *service) startedBySocket(o outcome) bool {
	return len(s.sockets) > 0 && !s.staysActive(s.clean(o))
}

// supervision returns who starts a process of the service again.
func (s *service) supervision(pid int) closewait.Supervision {
	switch {
	case s.mainPID == 0:
		return closewait.Unsupervised(s.name + " has no main process that systemd knows, so it starts none again")
	case s.mainPID != uint32(pid):
		return closewait.Unsupervised(fmt.Sprintf("it is not the main process of %s, which is %d, and its parent runs another program", s.name, s.mainPID))
	case !s.active:
		return closewait.Unsupervised(fmt.Sprintf("%s is %s", s.name, s.state))
	}
	down := map[string]string{}
	bySocket := false
	for name, signal := range signals {
		for _, o := range outcomes(signal) {
			switch {
			case s.restarts(o):
			case s.startedBySocket(o):
				bySocket = true
			case down[name] == "":
				down[name] = fmt.Sprintf("if it %s, %s", o, s.whyDown(o))
			}
		}
	}
	switch {
	case len(down) == len(signals):
		return closewait.Unsupervised(s.whyDown(outcome{killed, int32(syscall.SIGKILL)}))
	case bySocket:
		return closewait.Supervision{By: closewait.BySocket, Text: strings.Join(s.sockets, ", ") + " starts " + s.name, StaysDown: down}
	}
	return closewait.Supervision{By: closewait.BySystemd, Text: s.String(), StaysDown: down}
}

// String names the service and its restart policy.
func (s *service) String() string { return fmt.Sprintf("%s (Restart=%s)", s.name, s.restart) }

// whyDown says why the service is not started again after an outcome.
func (s *service) whyDown(o outcome) string {
	switch {
	case s.exitType == "cgroup":
		return s.name + " lasts as long as any of its processes (ExitType=cgroup)"
	case s.staysActive(s.clean(o)):
		return s.name + " stays active without it (RemainAfterExit=yes)"
	case s.prevent.has(o):
		return s.name + " is not started again (RestartPreventExitStatus=)"
	}
	return fmt.Sprintf("%s is not started again (Restart=%s)", s.name, s.restart)
}
