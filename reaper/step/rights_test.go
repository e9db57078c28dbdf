package step

import (
	"errors"
	"testing"
)

func TestEachStepNeedsItsOwnRight(t *testing.T) {
	missing := errors.New("missing")
	allowed := func([]string) error { return nil }
	rights := map[string]Rights{
		"raise_nofile": {RaiseNoFile: missing, RunGuard: allowed},
		"run":          {RunGuard: func([]string) error { return missing }},
		"destroy":      {Destroy: missing, RunGuard: allowed},
		"shutdown":     {Shutdown: missing, RunGuard: allowed},
		"thread_dump":  {ThreadDump: missing, RunGuard: allowed},
		"restart_unit": {RestartUnit: func() error { return missing }, RunGuard: allowed},
		"signal":       {Signal: missing, RunGuard: allowed},
	}
	for _, s := range []Step{Evidence{}, RaiseNoFile{}, Run{Command: []string{"/bin/ok"}}, Destroy{}, Shutdown{}, ThreadDump{}, RestartUnit{}, Signal{Name: "TERM"}} {
		for kind, r := range rights {
			if r.RestartUnit == nil {
				r.RestartUnit = func() error { return nil }
			}
			if err := s.Permitted(r); errors.Is(err, missing) != (kind == s.Kind()) {
				t.Errorf("%s without the right of %s: %v", s, kind, err)
			}
		}
	}
}
