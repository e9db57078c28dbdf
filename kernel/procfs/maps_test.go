package procfs

import (
	"strings"
	"testing"
)

func TestExecutableMappingsOfALibraryAreRecognised(t *testing.T) {
	for _, c := range []struct {
		name, line string
		want       bool
	}{
		{"code", "7f6bf4851000-7f6bf5634000 r-xp 00251000 fe:00 315152     /usr/lib/jvm/lib/server/libjvm.so\n", true},
		{"code of a library that was updated", "7f6bf4851000-7f6bf5634000 r-xp 00251000 fe:00 315152  /opt/libjvm.so (deleted)\n", true},
		{"data", "7f6bf4600000-7f6bf4851000 r--p 00000000 fe:00 315152     /usr/lib/jvm/lib/server/libjvm.so\n", false},
		{"a name that goes on", "7f6bf4851000-7f6bf5634000 r-xp 00251000 fe:00 315152     /usr/lib/libjvm.so.1\n", false},
		{"a name that began before", "7f6bf4851000-7f6bf5634000 r-xp 00251000 fe:00 315152     /usr/lib/notlibjvm.so\n", false},
		{"a directory of that name", "7f6bf4851000-7f6bf5634000 r-xp 00251000 fe:00 315152     /libjvm.so/libc.so\n", false},
		{"no file", "7ffd5c1f5000-7ffd5c1f7000 r-xp 00000000 00:00 0                          [vdso]\n", false},
		{"no name", "7ffd5c1f5000-7ffd5c1f7000 r-xp 00000000 00:00 0 \n", false},
		{"empty", "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := executes(strings.TrimSuffix(c.line, "\n"), "libjvm.so"); got != c.want {
				t.Errorf("%v", got)
			}
		})
	}
}

func FuzzExecutableMappingsNameTheirLibrary(f *testing.F) {
	f.Add("7f6bf4851000-7f6bf5634000 r-xp 00251000 fe:00 315152     /usr/lib/jvm/lib/server/libjvm.so")
	f.Add("7f6bf4851000-7f6bf5634000 r-xp 00251000 fe:00 315152     /a b/libjvm.so (deleted)")
	f.Fuzz(func(t *testing.T, line string) {
		if executes(line, "libjvm.so") && !strings.Contains(line, "/libjvm.so") {
			t.Errorf("%q has no such file", line)
		}
	})
}
