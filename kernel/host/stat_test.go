package host

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"

	"closewait_exporter/internal/kerneltest"
)

// statLine prints a line as do_task_stat does.
func statLine(s Stat) []byte {
	return fmt.Appendf(nil, "4711 (%s) %c %d 4711 4711 -1 -1 %d 96 0 0 0 1 2 0 0 20 0 %d 0 %d 3137536 441 18446744073709551615 1 1 0 0 0 0 0 0 0 0 0 0 17 1 0 0 0 0 0 0 0 0 0 0 0 0 0\n",
		s.Comm, s.State, s.Parent, s.Flags, s.Threads, s.Start)
}

func equalStat(a, b Stat) bool {
	return bytes.Equal(a.Comm, b.Comm) && a.State == b.State && a.Parent == b.Parent &&
		a.Flags == b.Flags && a.Threads == b.Threads && a.Start == b.Start
}

func TestStatOfAnyCommIsReadRight(t *testing.T) {
	comms := append([]string{"kworker/u8:2-events_unbound and more than fifteen bytes", "12 (x) S 1"}, kerneltest.HostileComms...)
	for _, comm := range comms {
		t.Run(fmt.Sprintf("%q", comm), func(t *testing.T) {
			want := Stat{Comm: []byte(comm), State: 'D', Parent: 1, Flags: 0x400100, Threads: 3, Start: 987654321}
			got, err := ParseStat(statLine(want))
			if err != nil || !equalStat(got, want) {
				t.Errorf("got %+v, %v, want %+v", got, err, want)
			}
		})
	}
}

func TestMalformedStatIsAnError(t *testing.T) {
	line := string(statLine(Stat{Comm: []byte("x"), State: 'S', Threads: 1, Start: 7}))
	for name, data := range map[string]string{
		"empty":                      "",
		"newline alone":              "\n",
		"nothing after the comm":     "1 (a)",
		"a space after the comm":     "1 (a) ",
		"no comm":                    "1 a S 1 2 3",
		"parentheses the wrong way":  "1 )a( S 1 2 3",
		"comm that never ends":       "1 (a S 1 2 3",
		"state of two letters":       strings.Replace(line, ") S ", ") SS ", 1),
		"state of no letter":         strings.Replace(line, ") S ", ") \xee ", 1),
		"state of none":              strings.Replace(line, ") S ", ")  ", 1),
		"no space before the state":  strings.Replace(line, ") S ", ")S ", 1),
		"parent that is no number":   strings.Replace(line, "S 0 ", "S x ", 1),
		"negative start":             strings.Replace(line, " 0 7 ", " 0 -7 ", 1),
		"start beyond 64 bits":       strings.Replace(line, " 0 7 ", " 0 18446744073709551616 ", 1),
		"two spaces between numbers": strings.Replace(line, "20 0 1", "20  0 1", 1),
		"newline before the start":   strings.Replace(line, " 0 7 ", " 0\n7 ", 1),
	} {
		t.Run(name, func(t *testing.T) {
			if data == line {
				t.Fatal("the test changed nothing in the line")
			}
			if s, err := ParseStat([]byte(data)); !errors.Is(err, ErrMalformed) || !equalStat(s, Stat{}) {
				t.Errorf("got %+v, %v, want the zero Stat and ErrMalformed", s, err)
			}
		})
	}
}

func TestStatCutShortIsNeverTakenForAnotherStart(t *testing.T) {
	line := statLine(Stat{Comm: []byte("a) S 1"), State: 'S', Parent: 1, Threads: 1, Start: 123456})
	whole := bytes.Index(line, []byte(" 123456 ")) + len(" 123456 ")
	for n := range line {
		_, err := ParseStat(line[:n])
		if n < whole && !errors.Is(err, ErrMalformed) || n >= whole && err != nil {
			t.Errorf("the first %d bytes give %v", n, err)
		}
	}
}

func TestParseStatDoesNotAllocate(t *testing.T) {
	line := statLine(Stat{Comm: []byte("java"), State: 'S', Parent: 1, Flags: math.MaxUint32, Threads: 300, Start: math.MaxUint64})
	if n := testing.AllocsPerRun(100, func() { _, _ = ParseStat(line) }); n != 0 {
		t.Errorf("%v allocations per line", n)
	}
}

func TestStatOfThisThreadIsReadRightWhateverItsName(t *testing.T) {
	for _, comm := range kerneltest.HostileComms {
		t.Run(fmt.Sprintf("%q", comm), func(t *testing.T) {
			kerneltest.NameThisThread(t, comm)
			data, err := os.ReadFile("/proc/thread-self/stat")
			if err != nil {
				t.Fatal(err)
			}
			s, err := ParseStat(data)
			if err != nil || string(s.Comm) != comm || s.State != 'R' || s.Parent != os.Getppid() || s.Threads < 1 || s.Start == 0 {
				t.Errorf("got %+v, %v from %q", s, err, data)
			}
		})
	}
}

func FuzzParseStat(f *testing.F) {
	for _, comm := range kerneltest.HostileComms {
		f.Add(statLine(Stat{Comm: []byte(comm), State: 'S', Parent: 1, Threads: 1, Start: 1}))
	}
	f.Add([]byte("1 (a)"))
	f.Add([]byte(")("))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := ParseStat(data)
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Fatal(err)
			}
			return
		}
		again, err := ParseStat(statLine(s))
		if err != nil || !equalStat(again, s) {
			t.Errorf("%+v is printed and read as %+v, %v", s, again, err)
		}
	})
}

func FuzzStatRoundTrip(f *testing.F) {
	for _, comm := range kerneltest.HostileComms {
		f.Add([]byte(comm), byte('S'), 1, uint64(0x400000), 1, uint64(100))
	}
	f.Fuzz(func(t *testing.T, comm []byte, state byte, ppid int, flags uint64, threads int, start uint64) {
		state = 'A' + state%26
		want := Stat{Comm: comm, State: state, Parent: ppid, Flags: flags, Threads: threads, Start: start}
		if got, err := ParseStat(statLine(want)); err != nil || !equalStat(got, want) {
			t.Errorf("got %+v, %v, want %+v", got, err, want)
		}
	})
}

func BenchmarkParseStat(b *testing.B) {
	line := statLine(Stat{Comm: []byte("java"), State: 'S', Parent: 1, Threads: 300, Start: 123456})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseStat(line); err != nil {
			b.Fatal(err)
		}
	}
}
