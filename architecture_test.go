package main

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
)

// The limits of a package: what a reader can keep in mind.
const (
	maxFiles   = 30 // without tests
	maxMethods = 30 // of a type
)

// TestArchitecture checks the arrows of docs/ARCHITECTURE.md: which packages of the module, and
// which sensitive other packages, the files of a directory may import. Tests may import more. It
// also checks the sizes of packages, and prints a table of them with -v.
func TestArchitecture(t *testing.T) {
	const module = "closewait_exporter/"
	watched := []string{
		module, "golang.org/x/sys/unix", "github.com/prometheus/procfs", "github.com/prometheus/client_golang", "github.com/cilium/ebpf",
		"github.com/coreos/go-systemd/v22/dbus", "github.com/godbus/dbus", "os/exec", "syscall",
	}
	allowed := map[string][]string{
		"closewait": {},

		"kernel/host":     {module + "closewait", "golang.org/x/sys/unix"},
		"kernel/procfs":   {module + "closewait", module + "kernel/host", "golang.org/x/sys/unix", "github.com/prometheus/procfs"},
		"kernel/sockdiag": {module + "closewait", module + "kernel/host", "golang.org/x/sys/unix", "syscall"},
		"kernel/fdscan":   {module + "closewait", module + "kernel/host", "golang.org/x/sys/unix"},
		"kernel/child":    {"os/exec"},
		"kernel/symbols":  {module + "closewait", module + "origin", module + "kernel/child", module + "kernel/host", module + "kernel/procfs", "golang.org/x/sys/unix"},
		"kernel/trace":    {module + "closewait", module + "origin", module + "kernel/bpf", module + "kernel/host", module + "kernel/symbols", "golang.org/x/sys/unix"},
		"kernel/inspect":  {module + "closewait", module + "diagnose", module + "kernel/child", module + "kernel/host", module + "kernel/procfs", module + "kernel/sockdiag", module + "kernel/fdscan", "golang.org/x/sys/unix"},
		"kernel/trust":    {"golang.org/x/sys/unix"},
		"kernel/bpf":      {module + "kernel/host", "github.com/cilium/ebpf", "golang.org/x/sys/unix"},
		"kernel/bpf/bare": {"github.com/cilium/ebpf", "golang.org/x/sys/unix"},
		"kernel/scan":     {module + "closewait", module + "kernel/host", module + "kernel/procfs", module + "kernel/sockdiag", module + "kernel/bpf", module + "kernel/fdscan", "golang.org/x/sys/unix"},
		"kernel/action":   {module + "closewait", module + "kernel/host", module + "kernel/procfs", module + "kernel/sockdiag", module + "kernel/fdscan", module + "kernel/trust", "golang.org/x/sys/unix", "syscall", "os/exec"},

		"kernel/supervisor": {module + "closewait", module + "kernel/host", module + "kernel/procfs", "golang.org/x/sys/unix"},
		"systemd":           {module + "closewait", "github.com/coreos/go-systemd/v22/dbus", "github.com/godbus/dbus", "syscall"},

		"collector": {module + "closewait", "github.com/prometheus/client_golang"},
		"history":   {module + "closewait", module + "internal/checksum"},
		"diagnose":  {module + "closewait"},
		"evidence":  {module + "internal/statefile", "syscall"},
		"origin":    {module + "closewait"},
		"report":    {module + "closewait", module + "diagnose", module + "history", module + "origin"},
		"check":     {module + "closewait", module + "report"},
		"page":      {module + "closewait", module + "history", module + "report", module + "reaper/status"},
		"brake":     {"github.com/prometheus/client_golang/api"},
		"cluster":   {module + "closewait"},
		"web":       {"github.com/prometheus/client_golang"},

		"reaper/document":  {},
		"reaper/condition": {module + "closewait", module + "reaper/document"},
		"reaper/step":      {module + "closewait", module + "reaper/document"},
		"reaper/rules":     {module + "closewait", module + "reaper/document", module + "reaper/condition", module + "reaper/step"},
		"reaper/policy": {
			module + "closewait", module + "reaper/document", module + "reaper/condition", module + "reaper/step", module + "reaper/rules",
			module + "internal/checksum",
		},
		"reaper/status": {},
		"reaper": {
			module + "closewait", module + "reaper/status", module + "reaper/condition", module + "reaper/step", module + "reaper/rules", module + "reaper/policy",
			module + "collector", module + "internal/statefile", "github.com/prometheus/client_golang", "syscall",
		},
		"reaper/internal/fixture": {module + "closewait", module + "reaper/condition", module + "reaper/rules", module + "reaper/step"},

		"internal/checksum":  {},
		"internal/logging":   {},
		"internal/statefile": {"syscall"},
		"internal/app":       {module, "github.com/prometheus/client_golang", "syscall"},
		".":                  {module + "internal/app", "syscall"},

		"internal/leaktest":       {module, "golang.org/x/sys/unix", "os/exec", "syscall"},
		"internal/leaktest/tcp":   {"golang.org/x/sys/unix"},
		"internal/leaktest/truth": {},
		"internal/kerneltest":     {module + "closewait", module + "internal/hosttest", module + "internal/leaktest", "github.com/prometheus/procfs", "golang.org/x/sys/unix", "syscall"},
		"internal/hosttest":       {module + "internal/leaktest/tcp", "golang.org/x/sys/unix", "os/exec", "syscall"},
		"internal/promtest":       {module + "internal/leaktest", "os/exec", "syscall"},
		"internal/browsertest":    {"os/exec"},
		"e2e/testdata/origin":     {},
		"e2e/testdata/originhttp": {},
		"cmd/leak":                {module + "internal/leaktest/tcp", module + "internal/leaktest/truth", "golang.org/x/sys/unix", "syscall"},
	}
	packages := parsePackages(t)
	for dir, rules := range allowed {
		if packages[dir] == nil {
			t.Errorf("no Go files in %s: remove its rule %v", dir, rules)
		}
	}
	for dir, p := range packages {
		rules, known := allowed[dir]
		if !known {
			t.Errorf("no rule for package %s: add the packages that it may import", dir)
		}
		for path := range p.imports {
			if hasAnyPrefix(path, watched) && !hasAnyPrefix(path, rules) {
				t.Errorf("package %s must not import %s", dir, path)
			}
			if first, _, _ := strings.Cut(path, "/"); dir == "closewait" && strings.Contains(first, ".") {
				t.Errorf("package closewait imports %s: only the standard library is allowed there", path)
			}
		}
		requireSize(t, dir, p)
	}
	t.Logf("\n%s", architectureTable(packages, module))
}

func requireSize(t *testing.T, dir string, p *goPackage) {
	t.Helper()
	name, methods := p.largestType()
	large := p.files > maxFiles || methods > maxMethods
	if large {
		t.Errorf("package %s has %d files and its type %s %d methods, want at most %d and %d", dir, p.files, name, methods, maxFiles, maxMethods)
	}
}

// goPackage describes the package in a directory, without its tests.
type goPackage struct {
	files    int
	exported map[string]bool            // top-level names
	methods  map[string]map[string]bool // by type
	imports  map[string]bool
}

// largestType is the type with the most methods.
func (p *goPackage) largestType() (name string, methods int) {
	for _, typ := range slices.Sorted(maps.Keys(p.methods)) {
		if n := len(p.methods[typ]); n > methods {
			name, methods = typ, n
		}
	}
	return name, methods
}

func (p *goPackage) add(file *ast.File) {
	p.files++
	for _, spec := range file.Imports {
		p.imports[strings.Trim(spec.Path.Value, `"`)] = true
	}
	for _, decl := range file.Decls {
		switch d := decl.(type) {
		case *ast.FuncDecl:
			if d.Recv == nil {
				p.export(d.Name)
				continue
			}
			typ := receiver(d.Recv.List[0].Type)
			if p.methods[typ] == nil {
				p.methods[typ] = map[string]bool{}
			}
			p.methods[typ][d.Name.Name] = true
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				switch spec := spec.(type) {
				case *ast.TypeSpec:
					p.export(spec.Name)
				case *ast.ValueSpec:
					p.export(spec.Names...)
				}
			}
		}
	}
}

func (p *goPackage) export(names ...*ast.Ident) {
	for _, name := range names {
		if name.IsExported() {
			p.exported[name.Name] = true
		}
	}
}

// receiver is the name of the type of a receiver, without pointer and type parameters.
func receiver(expr ast.Expr) string {
	switch e := expr.(type) {
	case *ast.StarExpr:
		return receiver(e.X)
	case *ast.IndexExpr:
		return receiver(e.X)
	case *ast.IndexListExpr:
		return receiver(e.X)
	case *ast.Ident:
		return e.Name
	}
	return ""
}

// parsePackages parses all Go files but tests, by directory.
func parsePackages(t *testing.T) map[string]*goPackage {
	t.Helper()
	packages := map[string]*goPackage{}
	err := filepath.WalkDir(".", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		dir := filepath.Dir(path)
		if packages[dir] == nil {
			packages[dir] = &goPackage{exported: map[string]bool{}, methods: map[string]map[string]bool{}, imports: map[string]bool{}}
		}
		packages[dir].add(file)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return packages
}

// architectureTable has a row per package, with its imports from this module.
func architectureTable(packages map[string]*goPackage, module string) string {
	var text strings.Builder
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "PACKAGE\tFILES\tEXPORTED\tLARGEST TYPE\tMETHODS\tIMPORTS")
	for _, dir := range slices.Sorted(maps.Keys(packages)) {
		p := packages[dir]
		var imports []string
		for _, path := range slices.Sorted(maps.Keys(p.imports)) {
			if inside, found := strings.CutPrefix(path, module); found {
				imports = append(imports, inside)
			}
		}
		name, methods := p.largestType()
		fmt.Fprintf(w, "%s\t%d\t%d\t%s\t%d\t%s\n", dir, p.files, len(p.exported), cmp.Or(name, "-"), methods, cmp.Or(strings.Join(imports, " "), "-"))
	}
	w.Flush()
	return text.String()
}

func hasAnyPrefix(path string, prefixes []string) bool {
	return slices.ContainsFunc(prefixes, func(prefix string) bool { return strings.HasPrefix(path, prefix) })
}
