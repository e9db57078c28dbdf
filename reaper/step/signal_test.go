package step

import "testing"

func TestEverySignalThatEndsAProcessByDefaultIsKnownAsSuch(t *testing.T) {
	for name, ends := range map[string]bool{"TERM": true, "KILL": true, "QUIT": true, "USR1": true, "PIPE": true, "CHLD": false, "CONT": false, "URG": false, "WINCH": false} {
		if step := (Signal{Name: name}); step.Traits().EndsProcess != ends {
			t.Errorf("%s ends a process: %v, want %v", name, !ends, ends)
		}
	}
	for _, step := range []Step{RaiseNoFile{}, Run{}, Destroy{}, Shutdown{}, ThreadDump{}} {
		if step.Traits().EndsProcess {
			t.Errorf("%s ends a process", step)
		}
	}
}

// TestStepsThatDifferAreNamedDifferently: equal names stand for a repeated step.
func TestStepsThatDifferAreNamedDifferently(t *testing.T) {
	one, two := Run{Command: []string{"/bin/x", "a b"}}, Run{Command: []string{"/bin/x", "a", "b"}}
	if one.String() == two.String() {
		t.Errorf("both are %s", one)
	}
	if got, want := (Run{Command: []string{"/bin/drain", "{pid}"}}).String(), "run /bin/drain {pid}"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
