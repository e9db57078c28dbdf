package symbols

import (
	"debug/elf"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"closewait_exporter/origin"
)

// openSelf opens the table of the test binary, which is not position independent.
func openSelf(t *testing.T) (*elf.File, *goTable) {
	t.Helper()
	file, err := elf.Open("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	if file.Type != elf.ET_EXEC {
		t.Skip("the test binary is position independent")
	}
	table, err := openGoTable(file)
	if err != nil {
		t.Fatal(err)
	}
	return file, table
}

// TestGoFramesAreThoseOfTheRuntime compares functions, files and lines with those that package
// runtime finds, also inlined ones, for addresses all over the test binary.
func TestGoFramesAreThoseOfTheRuntime(t *testing.T) {
	file, table := openSelf(t)
	text := file.Section(".text")
	compared, inlined, wrappers := 0, 0, 0
	const stride = 997
	for pc := text.Addr; pc < text.Addr+text.Size; pc += stride {
		want, got := runtimeFrames(pc), table.frames(pc)
		if len(want) == 0 {
			continue
		}
		if len(got) > len(want) { // the runtime leaves out functions that the compiler has generated
			wrappers++
			got = got[:len(want)]
		}
		compared++
		if len(want) > 1 {
			inlined++
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("%#x (-want +got):\n%s", pc, diff)
		}
	}
	if compared < 1000 || inlined < 100 || wrappers > compared/20 {
		t.Errorf("%d addresses compared, %d of them in inlined code, %d in wrappers", compared, inlined, wrappers)
	}
}

// runtimeFrames returns what the runtime finds at an address. It only searches the callers of
// inlined code if another address follows.
func runtimeFrames(pc uint64) (list []origin.Frame) {
	if f := runtime.FuncForPC(uintptr(pc) + 1); f == nil || f.Entry() == uintptr(pc)+1 { // no return address
		return nil
	}
	for frames := runtime.CallersFrames([]uintptr{uintptr(pc) + 1, 1}); ; {
		f, more := frames.Next()
		if f.File == "?" { // not known
			f.File = ""
		}
		if f.Function != "" {
			list = append(list, origin.Frame{Function: f.Function, File: f.File, Line: f.Line, Language: origin.Go})
		}
		if !more {
			return list
		}
	}
}

func TestGoFramesOutsideOfTheProgram(t *testing.T) {
	_, table := openSelf(t)
	for _, pc := range []uint64{0, 1, table.text - 1, 1 << 40, ^uint64(0)} {
		if frames := table.frames(pc); len(frames) > 0 {
			t.Errorf("%#x has the frames %v", pc, frames)
		}
	}
}

// FuzzGoTable reads tables that are damaged. The seed is the table of the test binary, shortened.
func FuzzGoTable(f *testing.F) {
	file, err := elf.Open("/proc/self/exe")
	if err != nil {
		f.Fatal(err)
	}
	defer file.Close()
	data, err := sectionData(goTableSection(file))
	if err != nil {
		f.Fatal(err)
	}
	text := file.Section(".text").Addr
	f.Add(data[:1<<16], uint64(100))
	f.Add([]byte(strings.Repeat("\xf1\xff\xff\xff\x00\x00\x01\x08", 20)), uint64(1))
	f.Fuzz(func(_ *testing.T, data []byte, offset uint64) {
		table, err := parseGoTable(data, file.ByteOrder, text)
		if err != nil {
			return
		}
		table.inlined = data
		for _, pc := range []uint64{text, text + offset, text + offset%(1<<20)} {
			table.frames(pc)
		}
	})
}
