package symbols

import (
	"bytes"
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"closewait_exporter/internal/leaktest"
	"closewait_exporter/origin"
)

// compileLibrary compiles C to a shared library.
func compileLibrary(t testing.TB, source string) string {
	t.Helper()
	dir := t.TempDir()
	path, library := filepath.Join(dir, "lib.c"), filepath.Join(dir, "lib.so")
	if err := os.WriteFile(path, []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(leaktest.RequireProgram(t, "gcc"), "-g", "-O1", "-shared", "-fPIC", "-nostdlib", "-o", library, path).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return library
}

const librarySource = `int first(int x) { return x * 3; }
int second(int x)
{
	return first(x) + 1;
}
`

func TestNativeFunctionsHaveLines(t *testing.T) {
	file, err := elf.Open(compileLibrary(t, librarySource))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	table, err := openNativeTable(file)
	if err != nil {
		t.Fatal(err)
	}
	symbols, err := file.DynamicSymbols()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range symbols {
		frames := table.frames(s.Value)
		wantLine := map[string]int{"first": 1, "second": 3}[s.Name]
		if len(frames) != 1 || frames[0].Function != s.Name || filepath.Base(frames[0].File) != "lib.c" ||
			frames[0].Line < wantLine-1 || frames[0].Line > wantLine || frames[0].Language != origin.Native {
			t.Errorf("%s: %+v, want line %d", s.Name, frames, wantLine)
		}
		if behind := table.frames(s.Value + s.Size + 1<<20); len(behind) > 0 {
			t.Errorf("behind %s: %+v", s.Name, behind)
		}
	}
	if before := table.frames(0); len(before) > 0 {
		t.Errorf("before all functions: %+v", before)
	}
}

// FuzzExecutable reads damaged executable files, as openModule does.
func FuzzExecutable(f *testing.F) {
	data, err := os.ReadFile(compileLibrary(f, librarySource))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data, uint64(0x1000))
	f.Add(data[:len(data)/2], uint64(0x1001))
	f.Fuzz(func(_ *testing.T, data []byte, address uint64) {
		mod, err := safely(func() (*module, error) { return readModule(bytes.NewReader(data)) })
		if err != nil || mod == nil {
			return
		}
		_, _ = safely(func() ([]origin.Frame, error) {
			return mod.frames(&mapping{start: 0, end: ^uint64(0)}, address), nil
		})
	})
}
