package step

import "testing"

func TestEverySignalThatEndsAProcessByDefaultIsKnownAsSuch(t *testing.T) {
	for name, ends := range map[string]bool{"TERM": true, "KILL": true, "QUIT": true, "USR1": true, "PIPE": true, "CHLD": false, "CONT": false, "URG": false, "WINCH": false} {
		if step := (Signal{Name: name}); step.Traits().EndsProcess != ends {
			t.Errorf("%s ends a process: %v, want %v", name, !ends, ends)
		}
	}
	for _, step := range []Step{Evidence{}, RaiseNoFile{}, Run{}, Destroy{}, Shutdown{}, ThreadDump{}} {
		if step.Traits().EndsProcess {
			t.Errorf("%s ends a process", step)
		}
	}
}
