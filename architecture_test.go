package main

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestPackagesKnowOnlyWhatTheyMay holds the arrows of docs/ARCHITECTURE.md: which packages of the
// module, and which sensitive ones, the files of a directory may import. Tests may import more.
func TestPackagesKnowOnlyWhatTheyMay(t *testing.T) {
	const module = "closewait_exporter/"
	watched := []string{
		module, "golang.org/x/sys/unix", "github.com/prometheus/procfs", "github.com/prometheus/client_golang", "github.com/cilium/ebpf",
		"os/exec", "syscall",
	}
	allowed := map[string][]string{
		"closewait":               {},
		"kernel":                  {module + "closewait", module + "kernel/iterator", "golang.org/x/sys/unix", "github.com/prometheus/procfs", "syscall", "os/exec"},
		"kernel/iterator/bare":    {"github.com/cilium/ebpf", "golang.org/x/sys/unix"},
		"kernel/iterator":         {"github.com/cilium/ebpf", "golang.org/x/sys/unix"},
		"collector":               {module + "closewait", "github.com/prometheus/client_golang"},
		"list":                    {module + "closewait"},
		"page":                    {module + "closewait", module + "list"},
		"docs":                    {},
		"web":                     {module + "internal/logging", "github.com/prometheus/client_golang"},
		"internal/logging":        {},
		"internal/leaktest":       {module, "golang.org/x/sys/unix", "os/exec", "syscall"},
		"internal/leaktest/tcp":   {"golang.org/x/sys/unix"},
		"internal/leaktest/truth": {},
		"internal/hosttest":       {"golang.org/x/sys/unix", "os/exec", "syscall"},
		"internal/promtest":       {module + "internal/leaktest", "os/exec", "syscall"},
		"internal/browsertest":    {"os/exec"},
		"cmd/leak":                {module + "internal/leaktest/tcp", module + "internal/leaktest/truth", "golang.org/x/sys/unix", "os/exec", "syscall"},
		"reaper":                  {module + "closewait", module + "collector", "github.com/prometheus/client_golang", "syscall"},
		".":                       {module, "github.com/prometheus/client_golang", "syscall"},
	}
	imports := importsByDirectory(t)
	for dir, rules := range allowed {
		if imports[dir] == nil {
			t.Errorf("no Go files in %s: remove its rule %v", dir, rules)
		}
	}
	for dir, paths := range imports {
		rules, known := allowed[dir]
		if !known {
			t.Errorf("no rule for package %s: say here what it may import", dir)
		}
		for _, path := range paths {
			if hasAnyPrefix(path, watched) && !hasAnyPrefix(path, rules) {
				t.Errorf("package %s must not import %s", dir, path)
			}
			if first, _, _ := strings.Cut(path, "/"); dir == "closewait" && strings.Contains(first, ".") {
				t.Errorf("package closewait imports %s: only the standard library is allowed there", path)
			}
		}
	}
}

func hasAnyPrefix(path string, prefixes []string) bool {
	return slices.ContainsFunc(prefixes, func(prefix string) bool { return strings.HasPrefix(path, prefix) })
}

func importsByDirectory(t *testing.T) map[string][]string {
	t.Helper()
	imports := map[string][]string{}
	err := filepath.WalkDir(".", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		dir := filepath.Dir(path)
		if imports[dir] == nil {
			imports[dir] = []string{}
		}
		for _, spec := range file.Imports {
			imports[dir] = append(imports[dir], strings.Trim(spec.Path.Value, `"`))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return imports
}
