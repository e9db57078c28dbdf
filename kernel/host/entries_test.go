package host

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// entry is a struct linux_dirent64 as the kernel writes it: padded to 8 bytes.
func entry(name string) []byte {
	b := binary.NativeEndian.AppendUint64(nil, 7) // d_ino
	b = binary.NativeEndian.AppendUint64(b, 1)    // d_off
	size := (len(b) + 3 + len(name) + 1 + 7) &^ 7 // d_reclen, d_type, the name and its NUL
	b = binary.NativeEndian.AppendUint16(b, uint16(size))
	b = append(append(b, unix.DT_DIR), name...)
	return append(b, make([]byte, size-len(b))...)
}

func TestEntriesOfADirectoryAreRead(t *testing.T) {
	cut := func(b []byte, n int) []byte { return b[:n] }
	withSize := func(b []byte, size uint16) []byte {
		binary.NativeEndian.PutUint16(b[16:], size)
		return b
	}
	full := entry("1234") // 19 bytes of head and 4 of name: one NUL, no padding
	noEnd := slices.Clone(full)
	noEnd[len(noEnd)-1] = 'x'
	for name, c := range map[string]struct {
		entries   []byte
		want      []string
		malformed bool
	}{
		"nothing":                                  {nil, nil, false},
		"one":                                      {entry("self"), []string{"self"}, false},
		"several":                                  {slices.Concat(entry("1"), entry("a long name"), entry("23")), []string{"1", "a long name", "23"}, false},
		"dot and dot dot":                          {slices.Concat(entry("."), entry(".."), entry("7")), []string{"7"}, false},
		"a name of any bytes":                      {entry("\xff\n\""), []string{"\xff\n\""}, false},
		"an empty name":                            {slices.Concat(entry(""), entry("1")), []string{"1"}, false},
		"without padding":                          {full, []string{"1234"}, false},
		"cut within the head":                      {slices.Concat(entry("1"), cut(entry("2"), 10)), []string{"1"}, true},
		"cut after the head":                       {cut(entry("2"), 19), nil, true},
		"cut within the name":                      {cut(entry("a long name"), 22), nil, true},
		"a length of nothing":                      {withSize(entry("1"), 0), nil, true},
		"a length of less than the head":           {withSize(entry("1"), 19), nil, true},
		"a length of more than there is":           {withSize(entry("1"), 25), nil, true},
		"a name that does not end":                 {noEnd, nil, true},
		"the largest length":                       {withSize(entry("1"), 65535), nil, true},
		"a good one after one that makes no sense": {slices.Concat(withSize(entry("1"), 3), entry("2")), nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			err := eachEntry(c.entries, func(name []byte) { got = append(got, string(name)) })
			if !slices.Equal(got, c.want) || errors.Is(err, ErrMalformed) != c.malformed || (err != nil) != c.malformed {
				t.Errorf("%q, %v, want %q, malformed %v", got, err, c.want, c.malformed)
			}
		})
	}
}

func FuzzEntries(f *testing.F) {
	f.Add(slices.Concat(entry("."), entry("1"), entry("a long name")))
	f.Add(entry("1")[:20])
	f.Fuzz(func(t *testing.T, entries []byte) {
		_ = eachEntry(entries, func(name []byte) {
			if len(name) == 0 || slices.Contains(name, 0) || name[0] == '.' {
				t.Errorf("name %q", name)
			}
			if after := name[:len(name)+1]; after[len(name)] != 0 {
				t.Errorf("name %q does not end with NUL in memory", name)
			}
		})
	})
}

func TestARealDirectoryIsReadWithASmallBuffer(t *testing.T) {
	dir := t.TempDir()
	var want []int
	for i := range 300 {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprint(i)), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		want = append(want, i)
	}
	if err := os.WriteFile(filepath.Join(dir, "12a"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	d, err := OpenDirectory(unix.AT_FDCWD, dir)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	got, err := d.Numbers(make([]byte, 64))
	slices.Sort(got)
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v", got, err)
	}
}

func TestPIDsAreListedAscending(t *testing.T) {
	pids, err := openHost(t).ListPIDs()
	if err != nil || !slices.IsSorted(pids) || !slices.Contains(pids, os.Getpid()) {
		t.Errorf("%v, %v", pids, err)
	}
}
