package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"closewait_exporter/closewait"
	"closewait_exporter/history"
	"closewait_exporter/report"
)

// leakingHost is a host on which each of some processes leaks one connection a second.
type leakingHost struct {
	processes int
	began     time.Time
	history   *history.History
	scans     int
	fallback  string        // why no better scanner works
	broken    map[int]error // by the number of the scan
}

func newLeakingHost(processes int) *leakingHost {
	return &leakingHost{processes: processes, began: time.Now(), history: history.New(), broken: map[int]error{}}
}

func (h *leakingHost) observe(context.Context) (*closewait.View, error) {
	h.scans++
	if err := h.broken[h.scans]; err != nil {
		return nil, err
	}
	v := &closewait.View{Taken: time.Now(), Complete: closewait.NewStateSet(closewait.CloseWait, closewait.Closed, closewait.FinWait2, closewait.Unconnected)}
	age := int(time.Since(h.began) / time.Second)
	for pid := range h.processes {
		p := closewait.Process{ID: closewait.ProcessID{PID: pid + 100}, Comm: "esc\x1b", FDsKnown: true, OpenFDs: uint64(10 + age), MaxFDs: 1024}
		var sockets []*closewait.Socket
		for i := range age + 1 {
			s := &closewait.Socket{Since: h.began, Holders: []closewait.ProcessID{p.ID}}
			s.ID, s.Inode, s.Direction = closewait.CookieID(1, uint64(1000*pid+i+1)), 1, closewait.Inbound
			s.Local, s.Remote = netip.MustParseAddrPort("10.0.0.1:80"), netip.MustParseAddrPort("10.0.0.2:40000")
			sockets = append(sockets, s)
		}
		v.Holders = append(v.Holders, &closewait.Holder{Process: p, Ended: closewait.NewHolding(sockets)})
		v.Sockets[closewait.IPv4][closewait.OwnedByProcess] += len(sockets)
	}
	h.history.Add(v)
	return v, nil
}

// lister returns the command list on this host, and what it writes to standard output and error.
func (h *leakingHost) lister(arguments ...string) (l *lister, stdout, stderr *bytes.Buffer) {
	_, o, err := parse(append([]string{listCommand, "--collector.min-age=0s"}, arguments...), io.Discard)
	if err != nil {
		panic(err)
	}
	stdout, stderr = &bytes.Buffer{}, &bytes.Buffer{}
	local := &localReader{observe: h.observe, visibility: closewait.Visibility{Scanner: "ebpf", Root: true, Fallback: h.fallback}, history: h.history}
	l = &lister{options: o, read: local.read, stderr: stderr}
	l.out = &output{Writer: report.NewTerminalWriter(stdout), size: func() (int, int) { return 0, 0 }}
	return l, stdout, stderr
}

// watchFor interrupts the command after some time.
func watchFor(t *testing.T, l *lister, d time.Duration) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	return l.watch(ctx)
}

func TestWatchWritesOneTableAfterTheOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newLeakingHost(1)
		l, stdout, stderr := h.lister("--watch=5s")
		if err := watchFor(t, l, 61*time.Second); err != nil {
			t.Fatal(err)
		}
		tables := strings.Split(strings.TrimSuffix(stdout.String(), "\n\n"), "\n\n2000-01-01 ")
		if len(tables) != 13 || h.scans != 13 || stderr.Len() > 0 {
			t.Fatalf("%d tables of %d scans in a minute, want 13, and %q", len(tables), h.scans, stderr)
		}
		if want := regexp.MustCompile(` 1 +- +0 .* 10/1024 <1% +- `); !want.MatchString(tables[0]) {
			t.Errorf("the first table does not match %s:\n%s", want, tables[0])
		}
		if want := regexp.MustCompile(` 61 +\+1\.0/s +0 .* 70/1024 6% +15m5[34]s `); !want.MatchString(tables[12]) {
			t.Errorf("the last table does not match %s:\n%s", want, tables[12])
		}
		if strings.Contains(stdout.String(), "\x1b") {
			t.Errorf("there are control sequences in\n%q", stdout)
		}
	})
}

func TestWatchRedrawsATerminal(t *testing.T) {
	for _, test := range []struct{ columns, lines, processes, shown int }{
		{100, 0, 30, 30}, {100, 50, 30, 30}, {100, 24, 30, 8}, {100, 24, 3, 3}, {60, 12, 30, 1}, {60, 4, 30, 1},
	} {
		t.Run(fmt.Sprint(test), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newLeakingHost(test.processes)
				h.fallback = strings.Repeat("a long note ", 20)
				l, _, _ := h.lister("--watch")
				var screen bytes.Buffer
				l.out.screen, l.out.size = &screen, func() (int, int) { return test.columns, test.lines }
				if err := watchFor(t, l, 5*time.Second); err != nil {
					t.Fatal(err)
				}
				frames := strings.Split(screen.String(), home)[1:]
				if len(frames) != 3 || !strings.HasPrefix(frames[0], clearAll) || strings.Contains(frames[2], clearAll) {
					t.Fatalf("%d frames of which only the first clears the screen, want 3: %q", len(frames), screen.String())
				}
				for _, frame := range frames {
					frame = strings.NewReplacer(clearAll, "", clearRight, "", clearBelow, "").Replace(frame)
					if n := strings.Count(frame, "\n"); test.lines > 0 && n >= test.lines {
						t.Errorf("%d lines on a terminal of %d:\n%s", n, test.lines, frame)
					}
					for line := range strings.Lines(frame) {
						if len(line) > test.columns+1 {
							t.Errorf("a line has more than %d characters: %s", test.columns, line)
						}
					}
					if strings.Contains(frame, "\x1b") {
						t.Errorf("a name controls the terminal: %q", frame)
					}
					if n := strings.Count(frame, "10.0.0.2"); test.columns == 100 && n != test.shown {
						t.Errorf("%d processes are shown, want %d:\n%s", n, test.shown, frame)
					}
					if hidden := test.shown < test.processes; test.lines > 12 && hidden != strings.Contains(frame, "Not shown: ") {
						t.Errorf("whether processes are hidden is not said:\n%s", frame)
					}
				}
			})
		})
	}
}

func TestWatchGoesOnAfterAFailedScan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newLeakingHost(1)
		h.broken[2] = errors.New("no /proc")
		l, stdout, stderr := h.lister("--watch=1s", "--output=json")
		if err := watchFor(t, l, 2500*time.Millisecond); err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(stdout.String(), `"version": 2`); n != 2 || stderr.String() != "closewait_exporter: error: no /proc\n" {
			t.Errorf("%d documents, and %q", n, stderr)
		}
		if !strings.Contains(stdout.String(), `"trend": {`) {
			t.Errorf("no trend in\n%s", stdout)
		}
	})
}

func TestWatchFailsIfTheFirstScanFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newLeakingHost(1)
		h.broken[1] = errors.New("no /proc")
		l, _, _ := h.lister("--watch")
		if err := watchFor(t, l, time.Minute); !errors.Is(err, h.broken[1]) {
			t.Errorf("error %v", err)
		}
	})
}

func TestFailIfLeakingDependsOnWhatIsShown(t *testing.T) {
	tests := map[string]struct {
		processes int
		arguments []string
		want      error
	}{
		"a leak":                {1, []string{"--fail-if-leaking"}, errLeaking},
		"a leak, not asked for": {1, nil, nil},
		"none":                  {0, []string{"--fail-if-leaking"}, nil},
		"of another process":    {1, []string{"--fail-if-leaking", "--pid=7"}, nil},
		"of this process":       {2, []string{"--fail-if-leaking", "--pid=7", "--pid=101"}, errLeaking},
		"on another port":       {1, []string{"--fail-if-leaking", "--port=443"}, nil},
		"as JSON":               {1, []string{"--fail-if-leaking", "--output=json"}, errLeaking},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			l, stdout, _ := newLeakingHost(test.processes).lister(test.arguments...)
			if err := l.once(t.Context()); !errors.Is(err, test.want) || (err == nil) != (test.want == nil) || stdout.Len() == 0 {
				t.Errorf("error %v, want %v, and %d bytes of output", err, test.want, stdout.Len())
			}
		})
	}
}

func TestWatchHasAnIntervalWithoutAValue(t *testing.T) {
	tests := map[string]time.Duration{
		"list --watch": 2 * time.Second, "list --watch --pid=7": 2 * time.Second,
		"list --watch=5s": 5 * time.Second, "list --watch 500ms": 500 * time.Millisecond, "list": 0,
	}
	for args, want := range tests {
		_, o, err := parse(strings.Fields(args), io.Discard)
		if err != nil || o.list.watch != want {
			t.Errorf("%s: %s and error %v, want %s", args, o.list.watch, err, want)
		}
	}
}

// pty opens a pseudo terminal of that size.
func pty(t *testing.T, columns, lines uint16) (master, slave *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no pseudo terminals: %v", err)
	}
	t.Cleanup(func() { _ = master.Close() })
	fd := int(master.Fd())
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		err = unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: lines, Col: columns})
	}
	if err != nil {
		t.Fatal(err)
	}
	slave, err = os.OpenFile(fmt.Sprint("/dev/pts/", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no pseudo terminals: %v", err)
	}
	t.Cleanup(func() { _ = slave.Close() })
	return master, slave
}

func TestCtrlCEndsWatchWithStatusZero(t *testing.T) {
	leak(t)
	master, slave := pty(t, 80, 24)
	command := exec.Command(program, "list", "--watch=100ms", "--collector.min-age=0s", fmt.Sprint("--pid=", os.Getpid()))
	command.Stdin, command.Stdout, command.Stderr = slave, slave, slave
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	deadline := time.AfterFunc(timeout, func() { _ = command.Process.Kill() })
	defer deadline.Stop()
	_ = slave.Close()
	interrupted := false
	var screen bytes.Buffer
	for part := make([]byte, 4096); ; {
		n, err := master.Read(part)
		screen.Write(part[:n])
		if err != nil { // EIO: the program has ended
			break
		}
		if !interrupted && bytes.Count(screen.Bytes(), []byte(home)) > 2 {
			interrupted = true
			if _, err := master.WriteString("\x03"); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := command.Wait(); err != nil || !interrupted {
		t.Errorf("interrupted %t, and %v:\n%s", interrupted, err, &screen)
	}
	if !strings.Contains(screen.String(), "RATE") || !strings.Contains(screen.String(), fmt.Sprint(os.Getpid())) {
		t.Errorf("the process is not on the screen:\n%s", &screen)
	}
}
