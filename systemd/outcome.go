package systemd

import (
	"fmt"
	"slices"
	"syscall"
)

// ending is how a process has ended, as waitid(2) reports it to systemd.
type ending uint8

const (
	exited ending = iota
	killed        // by a signal
	dumped        // by a signal, with a core dump
)

// outcome is an ending with the exit status or the number of the signal.
type outcome struct {
	ending
	status int32
}

func (o outcome) String() string {
	if o.ending == exited {
		return fmt.Sprintf("exits with status %d", o.status)
	}
	return "is ended by the signal"
}

// maxStatus is the largest exit status.
const maxStatus = 255

// outcomes returns all ways in which a process can end after a signal. What a program makes of a
// signal that it can handle is not known before: a server may exit with status 0, and a JVM exits
// with 143 after TERM.
func outcomes(signal syscall.Signal) []outcome {
	number := int32(signal)
	if signal == syscall.SIGKILL {
		return []outcome{{killed, number}}
	}
	all := []outcome{{killed, number}, {dumped, number}}
	for status := range int32(maxStatus + 1) {
		all = append(all, outcome{exited, status})
	}
	return all
}

// signals are the signals that can end a process, by the names in rules files (signal(7)).
var signals = map[string]syscall.Signal{
	"HUP": syscall.SIGHUP, "INT": syscall.SIGINT, "QUIT": syscall.SIGQUIT, "ILL": syscall.SIGILL, "TRAP": syscall.SIGTRAP,
	"ABRT": syscall.SIGABRT, "BUS": syscall.SIGBUS, "FPE": syscall.SIGFPE, "KILL": syscall.SIGKILL, "USR1": syscall.SIGUSR1,
	"SEGV": syscall.SIGSEGV, "USR2": syscall.SIGUSR2, "PIPE": syscall.SIGPIPE, "ALRM": syscall.SIGALRM, "TERM": syscall.SIGTERM,
	"STKFLT": syscall.SIGSTKFLT, "XCPU": syscall.SIGXCPU, "XFSZ": syscall.SIGXFSZ, "VTALRM": syscall.SIGVTALRM,
	"PROF": syscall.SIGPROF, "IO": syscall.SIGIO, "PWR": syscall.SIGPWR, "SYS": syscall.SIGSYS,
}

// cleanSignals count as a clean exit of any service but one of Type=oneshot (systemd.service(5),
// SuccessExitStatus=).
var cleanSignals = []syscall.Signal{syscall.SIGHUP, syscall.SIGINT, syscall.SIGTERM, syscall.SIGPIPE}

// statusSet is a set of exit statuses and signals, as SuccessExitStatus= has one.
type statusSet struct{ statuses, signals []int32 }

func (s statusSet) has(o outcome) bool {
	if o.ending == exited {
		return slices.Contains(s.statuses, o.status)
	}
	return slices.Contains(s.signals, o.status)
}
