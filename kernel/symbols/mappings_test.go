package symbols

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const maps = `00400000-004e3000 r--p 00000000 fe:00 100                                /srv/app
004e3000-00600000 r-xp 000e3000 fe:00 100                                /srv/app
7f0000000000-7f0000001000 rwxp 00000000 00:00 0 
7f0000001000-7f0000002000 r-xp 00001000 fe:00 7                          /lib/a file\012b.so (deleted)
7f0000003000-7f0000002000 r-xp 00001000 fe:00 7                          /lib/ends-before-it-begins
7f0000003000-7f00000zz000 r-xp 00001000 fe:00 7                          /lib/no-number
7ffd00000000-7ffd00002000 r-xp 00000000 00:00 0                          [vdso]

short
`

func TestMappingsAreTheExecutableOnes(t *testing.T) {
	list, err := readMappings(strings.NewReader(maps))
	if err != nil {
		t.Fatal(err)
	}
	want := []mapping{
		{0x4e3000, 0x600000, 0xe3000, 100, "/srv/app"},
		{0x7f0000000000, 0x7f0000001000, 0, 0, ""},
		{0x7f0000001000, 0x7f0000002000, 0x1000, 7, `/lib/a file\012b.so (deleted)`},
		{0x7ffd00000000, 0x7ffd00002000, 0, 0, "[vdso]"},
	}
	if diff := cmp.Diff(want, list, cmp.AllowUnexported(mapping{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if name := list[2].name(); name != `/lib/a file\012b.so` {
		t.Errorf("name %q", name)
	}
	for address, path := range map[uint64]string{
		0x4e3000: "/srv/app", 0x5fffff: "/srv/app", 0x600000: "none", 0: "none", 0x7f0000000fff: "", 0x7ffd00001fff: "[vdso]", ^uint64(0): "none",
	} {
		got := "none"
		if m, found := find(list, address); found {
			got = m.path
		}
		if got != path {
			t.Errorf("%#x is in %q, want %q", address, got, path)
		}
	}
}

func FuzzMappings(f *testing.F) {
	f.Add(maps, uint64(0x4e3001))
	f.Fuzz(func(t *testing.T, text string, address uint64) {
		list, err := readMappings(strings.NewReader(text))
		if err != nil {
			return
		}
		for _, m := range list {
			if m.start >= m.end {
				t.Errorf("%+v ends before it begins", m)
			}
		}
		find(list, address)
	})
}
