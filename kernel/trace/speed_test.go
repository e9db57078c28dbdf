package trace

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"closewait_exporter/closewait"
	"closewait_exporter/internal/kerneltest"
	"closewait_exporter/kernel/bpf"
	"closewait_exporter/kernel/host"
)

// role is the environment variable that makes the test binary open connections to itself.
const role = "TRACE_TEST_CONNECT"

func TestMain(m *testing.M) {
	if os.Getenv(role) != "" {
		if err := serveConnections(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// serveConnections opens, uses and closes the number of connections that each line asks for, and
// writes the nanoseconds of processor time that they took. "keep N" leaves N pairs open.
func serveConnections(in io.Reader, out io.Writer) error {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return err
	}
	var kept []net.Conn
	for {
		var command string
		var n int
		if _, err := fmt.Fscanln(in, &command, &n); err != nil {
			return nil // the test has ended
		}
		begin := processorTime()
		for range n {
			ends, err := connection(listener)
			if err != nil {
				return err
			}
			if command == "keep" {
				kept = append(kept, ends[:]...)
				continue
			}
			ends[0].Close()
			ends[1].Close()
		}
		fmt.Fprintln(out, (processorTime() - begin).Nanoseconds(), len(kept))
	}
}

// processorTime is what this process has used. On the loopback device that is all that its
// connections cost.
func processorTime() time.Duration {
	var usage unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &usage); err != nil {
		panic(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// connection makes both ends of a connection, and sends some bytes and the end through it.
func connection(listener net.Listener) (ends [2]net.Conn, err error) {
	if ends[0], err = net.Dial("tcp4", listener.Addr().String()); err != nil {
		return ends, err
	}
	if ends[1], err = listener.Accept(); err != nil {
		return ends, err
	}
	buf := make([]byte, 100)
	for range 3 {
		if _, err = ends[0].Write(buf); err != nil {
			return ends, err
		}
		if _, err = io.ReadFull(ends[1], buf); err != nil {
			return ends, err
		}
	}
	return ends, nil
}

// connector is a process that opens connections.
type connector struct {
	t   *testing.T
	id  closewait.ProcessID
	in  io.Writer
	out io.Reader
}

func startConnector(t *testing.T, h *host.Host) *connector {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), role+"=1", "GOMAXPROCS=1")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	must(t, err)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	t.Cleanup(func() {
		in.Close()
		_ = cmd.Wait()
	})
	return &connector{t, kerneltest.IdentityOf(t, cmd.Process.Pid), in, out}
}

// do carries out a command, and returns the processor time of a connection.
func (c *connector) do(command string, n int) time.Duration {
	c.t.Helper()
	fmt.Fprintln(c.in, command, n)
	var nanoseconds, kept int64
	if _, err := fmt.Fscanln(c.out, &nanoseconds, &kept); err != nil {
		c.t.Fatal(err)
	}
	return time.Duration(nanoseconds / int64(n))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func startTracer(t *testing.T, id closewait.ProcessID) *bpf.Tracer {
	t.Helper()
	tracer, err := bpf.NewTracer(id.PID, id.Start)
	must(t, err)
	must(t, tracer.Attach())
	return tracer
}

// TestSpeed is the part of `make bench` about traces: kernel memory, and what a connection costs
// while a process is traced, in that process and in others, relative to one without a trace.
func TestSpeed(t *testing.T) {
	if os.Getenv("CLOSEWAIT_BENCH") == "" {
		t.Skip("takes a minute: run make bench")
	}
	h, err := host.Open(host.DefaultPath)
	must(t, err)
	defer h.Close()
	t.Run("memory", func(t *testing.T) { measureMemory(t, startConnector(t, h)) })
	t.Run("time", func(t *testing.T) { measureTime(t, startConnector(t, h), startConnector(t, h)) })
}

// measureTime requires connections to cost little more while a process is traced.
func measureTime(t *testing.T, traced, other *connector) {
	const connections, rounds = 1000, 25
	var others, own []float64
	traced.do("close", connections)
	other.do("close", connections)
	for range rounds { // alternately, because the speed of the machine changes
		plain, plainOther := traced.do("close", connections), other.do("close", connections)
		tracer := startTracer(t, traced.id)
		own = append(own, float64(traced.do("close", connections))/float64(plain))
		others = append(others, float64(other.do("close", connections))/float64(plainOther))
		tracer.Close()
	}
	requireRatio(t, "a connection of another process", others, 1.08)
	requireRatio(t, "both ends of a connection of the traced process", own, 1.7)
}

// requireRatio requires the median to be at most a limit.
func requireRatio(t *testing.T, what string, ratios []float64, limit float64) {
	t.Helper()
	slices.Sort(ratios)
	median := ratios[len(ratios)/2]
	t.Logf("%s: x%.2f (from x%.2f to x%.2f), at most x%.2f", what, median, ratios[0], ratios[len(ratios)-1], limit)
	if median > limit {
		t.Errorf("%s costs x%.2f, at most x%.2f", what, median, limit)
	}
}

// measureMemory requires a traced socket to need at most 400 bytes of kernel memory more.
func measureMemory(t *testing.T, c *connector) {
	t.Helper()
	const pairs, limit = 2500, 400
	grow := func() int64 {
		before := kernelMemory(t)
		c.do("keep", pairs)
		return kernelMemory(t) - before
	}
	grow() // fills caches
	plain := grow()
	tracer := startTracer(t, c.id)
	defer tracer.Close()
	extra := (grow() - plain) / (2 * pairs)
	t.Logf("%d bytes of kernel memory for a traced socket, at most %d", extra, limit)
	if extra > limit {
		t.Errorf("a traced socket needs %d bytes of kernel memory, at most %d", extra, limit)
	}
	count := 0
	_, err := tracer.Sockets(context.Background(), func(s *bpf.TracedSocket) {
		if s.Birth.Call != bpf.CallNone {
			count++
		}
	})
	must(t, err)
	if count < 2*pairs {
		t.Errorf("%d sockets were seen, want %d", count, 2*pairs)
	}
}

// kernelMemory is the memory in slabs that cannot be reclaimed, in bytes.
func kernelMemory(t *testing.T) int64 {
	t.Helper()
	data, err := os.ReadFile("/proc/meminfo")
	must(t, err)
	for line := range strings.Lines(string(data)) {
		if value, found := strings.CutPrefix(line, "SUnreclaim:"); found {
			n, err := strconv.ParseInt(strings.Fields(value)[0], 10, 64)
			must(t, err)
			return n << 10
		}
	}
	t.Fatal("no SUnreclaim in /proc/meminfo")
	return 0
}
