package reapertest

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"closewait_exporter/internal/leaktest"
)

// reachable lets every user reach a file in the directory of a test.
func reachable(t *testing.T, path string) {
	t.Helper()
	for _, dir := range []string{filepath.Dir(path), filepath.Dir(filepath.Dir(path))} {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

// asUser is leaktest.Where for a program that an unprivileged user runs.
func asUser(t *testing.T, name string) leaktest.Where {
	t.Helper()
	leaktest.RequireRoot(t)
	where := leaktest.Where{Program: leakAs(t, name), UID: unprivileged}
	reachable(t, where.Program)
	return where
}

// launcher returns a program that starts another one in its own place, with the same arguments. The
// script has that program in $program.
func launcher(t *testing.T, program, script string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "launcher")
	write(t, path, fmt.Sprintf("#!/bin/sh\nprogram='%s'\n%s\n", program, script))
	if err := os.Chmod(path, 0o755); err != nil {
		t.Fatal(err)
	}
	reachable(t, path)
	return path
}
