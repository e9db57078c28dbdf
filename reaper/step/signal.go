package step

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"closewait_exporter/reaper/document"
)

const defaultWait = 10 * time.Second

var signal = Kind{
	Name: "signal",
	Keys: []string{"name", "wait"},
	Read: func(s *document.Section) Step {
		step := Signal{
			Name: document.Value(s, "name", "", parseSignal),
			Wait: document.Value(s, "wait", defaultWait, document.ParsePositive),
		}
		if !s.Has("name") && !s.Broken() {
			s.Refuse("name", "is missing: say which signal, such as TERM")
		}
		return step
	},
}

// Signal sends a signal.
type Signal struct {
	Name string        // without SIG, such as TERM
	Wait time.Duration // for the process to end
}

// signalEnds has the signals that a step can send. The value is true if the signal ends a process
// that does not handle it (signal(7)). Signals that stop a process are not allowed: a stopped
// program closes nothing, and no later step would continue it.
var signalEnds = map[string]bool{
	"HUP": true, "INT": true, "QUIT": true, "ILL": true, "TRAP": true, "ABRT": true, "BUS": true, "FPE": true, "KILL": true,
	"USR1": true, "SEGV": true, "USR2": true, "PIPE": true, "ALRM": true, "TERM": true, "STKFLT": true, "XCPU": true, "XFSZ": true,
	"VTALRM": true, "PROF": true, "IO": true, "PWR": true, "SYS": true,
	"CHLD": false, "CONT": false, "URG": false, "WINCH": false,
}

var stopSignals = []string{"STOP", "TSTP", "TTIN", "TTOU"}

// endRequests ask a process to end. Other signals that can end one are often handled for another
// purpose, such as USR1.
var endRequests = []string{"TERM", "INT", "QUIT", "ABRT"}

func parseSignal(text string) (string, error) {
	name := strings.TrimPrefix(strings.ToUpper(text), "SIG")
	_, known := signalEnds[name]
	switch {
	case slices.Contains(stopSignals, name):
		return "", fmt.Errorf("%s stops the process, and no step would continue it: write such as TERM", text)
	case !known:
		return "", fmt.Errorf("%q is not a signal: write one of %s", text, strings.Join(slices.Sorted(maps.Keys(signalEnds)), ", "))
	case name != text:
		return "", fmt.Errorf("%q is not known: write %s", text, name)
	}
	return name, nil
}

// Kind implements Step.
func (Signal) Kind() string { return signal.Name }

func (s Signal) String() string { return signal.Name + " " + s.Name }

// Traits implements Step. Whether the program handles the signal is not known, so every signal that
// ends a process by default counts as one that ends it.
func (s Signal) Traits() Traits {
	t := Traits{
		EndsProcess: signalEnds[s.Name], RequestsEnd: slices.Contains(endRequests, s.Name), Kills: s.Name == "KILL", Wait: s.Wait,
	}
	if t.EndsProcess {
		t.Signal = s.Name
	}
	return t
}

// Permitted implements Step.
func (Signal) Permitted(r Rights) error { return r.Signal }

// Apply implements Step.
func (s Signal) Apply(_ context.Context, t *Target) (Result, error) {
	err := t.Process.Signal(s.Name)
	return Result{Signalled: err == nil}, err
}
