package action

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/internal/leaktest"
)

// TestAGuardThatOtherUsersCanChangeIsNotRun changes each file that a guard runs.
func TestAGuardThatOtherUsersCanChangeIsNotRun(t *testing.T) {
	leaktest.RequireRoot(t)
	e := newExecutor(t)
	dir := t.TempDir()
	file := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		writeFile(t, path, text)
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good := file("good", "#!/bin/sh\nexit 0\n", 0o755)
	bad := file("bad", "#!/bin/sh\nexit 0\n", 0o777)
	badData := file("bad.py", "exit 0\n", 0o666)
	badInterpreter := file("script", "#! "+bad+" -x\n", 0o755)
	badEnv := file("script.env", "#!/usr/bin/env "+bad+"\n", 0o755)
	python := filepath.Join(dir, "python3.11")
	if err := os.Symlink("/bin/sh", python); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		command []string
		trusted bool
	}{
		{[]string{good}, true},
		{[]string{"/bin/sh", good}, true},
		{[]string{"/bin/sh", "-c", "exit 0"}, true},
		{[]string{good, badData}, true}, // data, as far as anyone can tell
		{[]string{bad}, false},
		{[]string{"/bin/sh", bad}, false},
		{[]string{"/bin/sh", "-e", badData}, false},
		{[]string{"/usr/bin/env", bad}, false},
		{[]string{python, badData}, false},
		{[]string{badInterpreter}, false},
		{[]string{badEnv}, false},
	} {
		if err := CanRun(c.command); (err == nil) != c.trusted {
			t.Errorf("%q: %v", c.command, err)
		}
		_, err := e.RunGuard(t.Context(), closewait.Guard{Command: c.command, Timeout: time.Minute})
		if refused := errors.Is(err, closewait.ErrGuardFailed); refused == c.trusted {
			t.Errorf("%q is run: %v", c.command, err)
		}
		if err != nil && len(c.command) > 1 && strings.Contains(err.Error(), "-e") {
			t.Errorf("the error has its arguments: %v", err)
		}
	}
}
