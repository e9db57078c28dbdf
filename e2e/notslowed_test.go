package e2e

import (
	"io"
	"net"
	"os/exec"
	"slices"
	"strconv"
	"testing"
	"time"

	"closewait_exporter/internal/leaktest"
)

// TestAProcessIsNotSlowedByWhatIsReadOfIt measures the answers of two equal servers at the same
// time, while one of them is diagnosed and its unread data peeked at, while evidence about it is
// saved, and while it is traced.
func TestAProcessIsNotSlowedByWhatIsReadOfIt(t *testing.T) {
	leaktest.RequireRoot(t)
	for _, tt := range []struct {
		name    string
		command []string // the pid is added
		runs    int
		connect bool // for each answer, so that a trace has something to record
	}{
		{"diagnosed", []string{"diagnose", "--peek", "--output=json"}, 3, false},
		{"evidence", []string{"evidence", "--output-file=-"}, 2, false},
		{"traced", []string{"origin", "--for=2s"}, 1, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			servers := [2]foreign{startForeign(t, "python3", "testdata/python/echo.py"), startForeign(t, "python3", "testdata/python/echo.py")}
			ended := make(chan error, 1)
			go func() {
				var err error
				for range tt.runs {
					cmd := exec.Command(program(t), append(slices.Clone(tt.command), strconv.Itoa(servers[0].pid))...)
					if failed := cmd.Run(); cmd.ProcessState == nil || cmd.ProcessState.ExitCode() == 1 {
						err = failed
					}
				}
				ended <- err
			}()
			took := answerTimes(t, servers, tt.connect, ended)
			requireEquallyFast(t, took[0], took[1])
		})
	}
}

// answerTimes are how long each of two servers takes to answer, in turn, until a result arrives,
// which must not be an error. With connect, each answer includes a new connection.
func answerTimes(t *testing.T, servers [2]foreign, connect bool, ended <-chan error) (took [2][]time.Duration) {
	t.Helper()
	var connections [2]net.Conn
	for i := range servers {
		connections[i] = dial(t, servers[i].port, "")
	}
	pause := time.NewTicker(time.Millisecond) // leaves the processors to the others
	defer pause.Stop()
	for {
		for i := range servers {
			start := time.Now()
			if connect {
				connections[i].Close()
				connections[i] = dial(t, servers[i].port, "")
			}
			_, err := connections[i].Write([]byte("x"))
			must(t, err)
			_, err = io.ReadFull(connections[i], make([]byte, 1))
			must(t, err)
			took[i] = append(took[i], time.Since(start))
		}
		select {
		case err := <-ended:
			must(t, err)
			return took
		case <-pause.C:
		}
	}
}

// requireEquallyFast compares the answers of a server with those of another one, which says what is
// normal at the moment.
func requireEquallyFast(t *testing.T, took, other []time.Duration) {
	t.Helper()
	slices.Sort(took)
	slices.Sort(other)
	n := len(took)
	t.Logf("%d answers each: median %v and %v, maximum %v and %v", n, took[n/2], other[n/2], took[n-1], other[n-1])
	const times, granularity = 3, time.Millisecond
	if got, want := took[n/2], times*other[n/2]+granularity; got > want {
		t.Errorf("the median of %d answers is %v, want at most %v: the other server has %v", n, got, want, other[n/2])
	}
	// A process that is stopped for a moment answers late, once.
	const stopped = 100 * time.Millisecond
	late := func(took []time.Duration) (count int) {
		for _, d := range took {
			if d > stopped {
				count++
			}
		}
		return count
	}
	if got, normal := late(took), late(other); got > 5*(normal+1) {
		t.Errorf("%d of %d answers took more than %v, of the other server %d", got, n, stopped, normal)
	}
}
