package scan

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"closewait_exporter/internal/leaktest"
)

// cost is the time that something took.
type cost struct{ cpu, wall time.Duration }

// over returns the ratio of the CPU times.
func (c cost) over(other cost) float64 { return c.cpu.Seconds() / other.cpu.Seconds() }

// benchReport prints what was measured, and fails the test where it is more than promised.
type benchReport struct{ t *testing.T }

func (r *benchReport) section(name string) {
	fmt.Printf("\n%-48s%10s%12s\n", name, "CPU ms", "wall ms")
}

func (r *benchReport) add(name string, c cost) cost {
	fmt.Printf("  %-46s%10.2f%12.2f\n", name, c.cpu.Seconds()*1000, c.wall.Seconds()*1000)
	return c
}

func (r *benchReport) atMost(name string, got, limit float64) {
	verdict := "ok"
	if got > limit {
		verdict = "MISSED"
		r.t.Errorf("%s is %.4f, promised is at most %.4f", name, got, limit)
	}
	fmt.Printf("  %-46s%10.4f <= %8.4f %s\n", name, got, limit, verdict)
}

// command measures another program, three times; its output goes nowhere.
func (r *benchReport) command(name, program string, args ...string) cost {
	path, err := exec.LookPath(program)
	if err != nil {
		r.t.Fatalf("%s is needed to compare with: run make deps", program)
	}
	least := cost{}
	for range 3 {
		c := exec.CommandContext(r.t.Context(), path, args...)
		started := time.Now()
		if err := c.Run(); err != nil {
			r.t.Fatalf("%s: %v", name, err)
		}
		least = cheaper(least, cost{c.ProcessState.UserTime() + c.ProcessState.SystemTime(), time.Since(started)})
	}
	return r.add(name, least)
}

// timeForQuiet is long enough for the minimum to be measured in a quiet moment. On a virtual
// machine everything can take half as long again for seconds, and a scan by BPF suffers more than
// a bare iterator.
const timeForQuiet = 45 * time.Second

// best returns the minimum of many runs of each contender, because other runs had to share the
// machine. They take turns in random order, so that a noisy minute affects all, and so does what
// one leaves behind in the caches.
func best(t *testing.T, contenders ...func() error) []cost {
	costs := make([]cost, len(contenders))
	for started := time.Now(); time.Since(started) < timeForQuiet; {
		for _, i := range rand.Perm(len(contenders)) {
			costs[i] = cheaper(costs[i], measure(t, contenders[i]))
		}
	}
	return costs
}

// cheaper returns the lower of two costs. The zero cost means that there is none yet.
func cheaper(a, b cost) cost {
	if a.wall == 0 || b.cpu < a.cpu {
		return b
	}
	return a
}

func measure(t *testing.T, run func() error) cost {
	before, started := cpuTime(t), time.Now()
	if err := run(); err != nil {
		t.Fatal(err)
	}
	return cost{cpu: cpuTime(t) - before, wall: time.Since(started)}
}

// cpuTime returns the CPU time of this process so far, with garbage collection.
func cpuTime(t *testing.T) time.Duration {
	var r unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &r); err != nil {
		t.Fatal(err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// exporterMemory checks the peak resident memory in MB of an exporter that has answered some
// scrapes.
func (r *benchReport) exporterMemory(limit float64) {
	for _, scanner := range []string{ScannerEBPF, ScannerNetlink} {
		r.atMost(scanner+": exporter, peak RSS, MB", r.peak(scanner), limit)
	}
}

func (r *benchReport) peak(scanner string) float64 {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		r.t.Fatal(err)
	}
	address := listener.Addr().String()
	listener.Close()
	exporter := exec.Command("../../closewait_exporter", "--web.listen-address="+address, "--log.level=error", "--collector.scanner="+scanner)
	exporter.Stderr = os.Stderr
	if err := exporter.Start(); err != nil {
		r.t.Fatalf("start the exporter: %v: run make bench", err)
	}
	defer func() {
		_ = exporter.Process.Kill()
		_ = exporter.Wait()
	}()
	for range 5 {
		leaktest.Eventually(r.t, time.Minute, func() (bool, string) {
			response, err := http.Get("http://" + address + "/metrics")
			if err != nil {
				return false, err.Error()
			}
			defer response.Body.Close()
			body, err := io.ReadAll(response.Body)
			return err == nil && strings.Contains(string(body), "closewait_scan_success 1"), string(body)
		})
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", exporter.Process.Pid))
	if err != nil {
		r.t.Fatal(err)
	}
	_, peak, _ := strings.Cut(string(status), "VmHWM:")
	kilobytes, err := strconv.Atoi(strings.Fields(peak)[0])
	if err != nil {
		r.t.Fatal(err)
	}
	return float64(kilobytes) / 1000
}
