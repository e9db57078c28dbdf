package inspect

import (
	"encoding/binary"
	"slices"
	"testing"
	"time"
)

func TestCallsAreParsed(t *testing.T) {
	for _, c := range []struct {
		name, line, want string
		fd               uint64
	}{
		{"a call", "0 0x13 0x7f0 0x1000 0x0 0x0 0x0 0x7ffd1a2b3c40 0x7f12d\n", "read", 0x13},
		{"a call on a stack of Go", "0 0x5 0x0 0x0 0x0 0x0 0x0 0xc000012345 0x401000\n", "read", 5},
		{"a call without a name here", "9999 0x13 0x0 0x0 0x0 0x0 0x0 0x7ffd1a2b3c40 0x7f12d\n", "", 0x13},
		{"running", "running\n", "", 0},
		{"not in a call", "-1 0x7ffd1a2b3c40 0x7f12d\n", "", 0},
		{"of a 32-bit program", "0 0x13 0x0 0x0 0x0 0x0 0x0 0xffd1a2b3 0xf7f12d\n", "", 0},
		{"cut short", "0 0x13 0x0", "", 0},
		{"no number", "0 x 0x0 0x0 0x0 0x0 0x0 0x7ffd1a2b3c40 0x7f12d\n", "", 0},
		{"empty", "", "", 0},
	} {
		call := parseCall([]byte(c.line))
		if c.name == "a call" || c.name == "a call on a stack of Go" {
			if call.info().kind != oneDescriptor {
				t.Errorf("%s: kind %d", c.name, call.info().kind)
			}
		}
		if got := call.info().name; got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
		if call.known && call.arguments[0] != c.fd {
			t.Errorf("%s: argument %d, want %d", c.name, call.arguments[0], c.fd)
		}
	}
}

func TestSchedulesAreParsed(t *testing.T) {
	if got, want := parseSchedule([]byte("1500 200 3\n")), (schedule{true, 1500 * time.Nanosecond, 200 * time.Nanosecond, 3}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	for _, line := range []string{"", "0 0 0\n", "1 2\n", "a b c\n", "1 2 -3\n"} {
		if parseSchedule([]byte(line)).known {
			t.Errorf("%q is known", line)
		}
	}
}

func TestAThreadIsStillIfItDidNotRun(t *testing.T) {
	blocked := threadState{call: call{number: 1, known: true}, ran: schedule{true, 5, 5, 2}, state: 'S'}
	ran, other, running, unknown := blocked, blocked, blocked, blocked
	ran.ran.slices++
	other.call.number++
	running.state = 'R'
	unknown.ran.known = false
	for name, c := range map[string]struct {
		after threadState
		want  bool
	}{"the same": {blocked, true}, "it ran": {ran, false}, "another call": {other, false}, "running": {running, false}, "no schedule": {unknown, false}} {
		if got := still(blocked, c.after); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func TestSetsOfDescriptorsAreParsed(t *testing.T) {
	poll := binary.NativeEndian.AppendUint32(nil, 7)
	poll = append(poll, 1, 0, 0, 0)
	poll = append(binary.NativeEndian.AppendUint32(poll, 0xffffffff), 1, 0, 0, 0)
	poll = append(poll, 9, 0) // cut short
	if got := parsePoll(poll); !slices.Equal(got, []int{7}) {
		t.Errorf("poll: %v", got)
	}
	set := binary.NativeEndian.AppendUint64(nil, 1<<3|1<<63)
	set = binary.NativeEndian.AppendUint64(set, 1<<1|1<<9)
	if got := parseSelect(set, 70); !slices.Equal(got, []int{3, 63, 65}) {
		t.Errorf("select: %v, want those below 70", got)
	}
	epoll := "pos:\t0\nflags:\t02\ntfd:        5 events:       19 data:                5  pos:0 ino:123 sdev:8\ntfd:       12 events: 1\ntfd: x\n"
	if got := parseEpoll(epoll); !slices.Equal(got, []int{5, 12}) {
		t.Errorf("epoll: %v", got)
	}
}

func TestWhatIsDeniedSaysWhatPermitsIt(t *testing.T) {
	for scope, want := range map[string]string{
		"":    "run as root, or with CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH",
		"0\n": "run as root, or with CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH",
		"1\n": "run as root, or with CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH: kernel.yama.ptrace_scope=1 forbids it to other processes, also of the same user",
		"3\n": "kernel.yama.ptrace_scope=3 forbids it until the next boot",
	} {
		if got := permission(scope); got != want {
			t.Errorf("%q: %q, want %q", scope, got, want)
		}
	}
}

func TestQuotasAreCompared(t *testing.T) {
	before := map[string]quota{"/a": parseQuota("nr_periods 10\nnr_throttled 2\nthrottled_time 5\n"), "/a/b": {periods: 10}, "/replaced": {100, 100}}
	after := map[string]quota{"/a": parseQuota("usage_usec 1\nnr_periods 20\nnr_throttled 7\n"), "/a/b": {periods: 20}, "/new": {10, 10}, "/replaced": {101, 3}}
	if got := throttled(before, after); got != 0.5 {
		t.Errorf("%v, want the worst of the known groups, 0.5", got)
	}
	if got := throttled(nil, after); got != 0 {
		t.Errorf("%v without an earlier reading", got)
	}
}

func FuzzFilesOfProcesses(f *testing.F) {
	f.Add([]byte("0 0x13 0x7f0 0x1000 0x0 0x0 0x0 0x7ffd1a2b3c40 0x7f12d\n"))
	f.Add([]byte("1500 200 3\n"))
	f.Add([]byte("tfd:        5 events:       19\n"))
	f.Add([]byte("nr_periods 10\nnr_throttled 2\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c := parseCall(data)
		_ = c.info()
		parseSchedule(data)
		parseQuota(string(data))
		for _, fd := range slices.Concat(parseEpoll(string(data)), parsePoll(data), parseSelect(data, 100)) {
			if fd < 0 {
				t.Errorf("descriptor %d", fd)
			}
		}
	})
}
