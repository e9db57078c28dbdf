package reaper

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// signalEnds has the signals that a step can send, and whether they end a process that does nothing
// about them (signal(7)). Those that stop it are left out: a stopped program closes nothing, and
// nobody would let it go on.
var signalEnds = map[string]bool{
	"HUP": true, "INT": true, "QUIT": true, "ILL": true, "TRAP": true, "ABRT": true, "BUS": true, "FPE": true, "KILL": true,
	"USR1": true, "SEGV": true, "USR2": true, "PIPE": true, "ALRM": true, "TERM": true, "STKFLT": true, "XCPU": true, "XFSZ": true,
	"VTALRM": true, "PROF": true, "IO": true, "PWR": true, "SYS": true,
	"CHLD": false, "CONT": false, "URG": false, "WINCH": false,
}

var stopSignals = []string{"STOP", "TSTP", "TTIN", "TTOU"}

// EndsProcess tells whether the step can end the process. Every signal can that does so by default:
// whether the program handles it is not known.
func (s *Step) EndsProcess() bool { return s.Kind == StepSignal && signalEnds[s.Signal] }

func parseSignal(text string) (string, error) {
	name := strings.TrimPrefix(strings.ToUpper(text), "SIG")
	_, known := signalEnds[name]
	switch {
	case slices.Contains(stopSignals, name):
		return "", fmt.Errorf("%s stops the process, and nobody would let it go on: write such as TERM", text)
	case !known:
		return "", fmt.Errorf("%q is not a signal: write one of %s", text, strings.Join(slices.Sorted(maps.Keys(signalEnds)), ", "))
	case name != text:
		return "", fmt.Errorf("%q is not known: write %s", text, name)
	}
	return name, nil
}
