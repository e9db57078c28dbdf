package procfs

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"closewait_exporter/internal/kerneltest"
	"closewait_exporter/kernel/host"
)

// statusFile prints the relevant lines of a /proc/PID/status, with the name as it is.
func statusFile(name string, real, effective uint32) string {
	return fmt.Sprintf("Name:\t%s\nUmask:\t0022\nState:\tS (sleeping)\nTgid:\t42\nTracerPid:\t0\n"+
		"Uid:\t%d\t%d\t%d\t%d\nGid:\t0\t0\t0\t0\nFDSize:\t64\nGroups:\t \nKthread:\t0\n", name, real, effective, real, real)
}

func TestEffectiveUser(t *testing.T) {
	file := statusFile("x", 1000, 33)
	for name, test := range map[string]struct {
		data string
		want uint32
		err  error
	}{
		"effective, not real":             {file, 33, nil},
		"largest":                         {statusFile("x", 0, 4294967294), 4294967294, nil},
		"empty name":                      {statusFile("", 1, 2), 2, nil},
		"name with an escaped line":       {statusFile(`\nUid:	7	7	7	7`, 1, 2), 2, nil},
		"name with a line of its own":     {statusFile("\nUid:\t7\t7\t7\t7\n", 1, 2), 2, nil},
		"name of half a UTF-8 sequence":   {statusFile("\xe2\x82", 1, 2), 2, nil},
		"empty":                           {"", 0, host.ErrMalformed},
		"cut before the line":             {file[:strings.Index(file, "Uid")], 0, host.ErrMalformed},
		"cut after the real id":           {file[:strings.Index(file, "33")-1], 0, host.ErrMalformed},
		"cut within the effective id":     {file[:strings.Index(file, "33")+1], 0, host.ErrMalformed},
		"not at the start of its line":    {strings.Replace(file, "Uid", "xUid", 1), 0, host.ErrMalformed},
		"no number":                       {strings.Replace(file, "33", "-1", 1), 0, host.ErrMalformed},
		"beyond 32 bits":                  {strings.Replace(file, "33", "4294967296", 1), 0, host.ErrMalformed},
		"spaces for tabs":                 {strings.ReplaceAll(file, "\t", " "), 0, host.ErrMalformed},
		"effective id on the line of Gid": {strings.Replace(file, "\t33\t1000\t1000", "", 1), 0, host.ErrMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := parseEffectiveUID([]byte(test.data))
			if got != test.want || !errors.Is(err, test.err) {
				t.Errorf("got %d, %v, want %d, %v", got, err, test.want, test.err)
			}
		})
	}
}

func TestEffectiveUserOfThisThreadIsReadRightWhateverItsName(t *testing.T) {
	for _, comm := range append([]string{"\nUid:\t7\t7", "\nUid:\t77\t7\t"}, kerneltest.HostileComms...) {
		t.Run(fmt.Sprintf("%q", comm), func(t *testing.T) {
			kerneltest.NameThisThread(t, comm)
			data, err := os.ReadFile("/proc/thread-self/status")
			if err != nil {
				t.Fatal(err)
			}
			if got, err := parseEffectiveUID(data); got != uint32(os.Geteuid()) || err != nil {
				t.Errorf("got %d, %v from %q", got, err, data[:80])
			}
			// The comment of parseEffectiveUID relies on it.
			if lines := bytes.Count(data, []byte("\nUid:")); lines != 1 {
				t.Errorf("%d lines of user ids", lines)
			}
		})
	}
}

func FuzzParseEffectiveUID(f *testing.F) {
	f.Add([]byte(statusFile("x", 1000, 33)))
	f.Add([]byte(statusFile("\nUid:\t7\t7\t7\t7\n", 1000, 33)))
	f.Add([]byte("\nUid:\t\t1\t"))
	f.Add([]byte("\nUid:\t0\t"))
	f.Fuzz(func(t *testing.T, data []byte) {
		uid, err := parseEffectiveUID(data)
		if err != nil {
			if uid != 0 || !errors.Is(err, host.ErrMalformed) {
				t.Errorf("got %d, %v", uid, err)
			}
		} else if !bytes.Contains(data, fmt.Appendf(nil, "%d\t", uid)) {
			t.Errorf("%d does not stand in %q", uid, data)
		}
		// Whatever the name is, the ids after it count.
		if got, err := parseEffectiveUID([]byte(statusFile(string(data), 1, 4711))); got != 4711 || err != nil {
			t.Errorf("got %d, %v for the name %q", got, err, data)
		}
	})
}
