package scan_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"closewait_exporter/internal/hosttest"
	"closewait_exporter/internal/leaktest"
	"closewait_exporter/internal/leaktest/truth"
	"closewait_exporter/kernel/scan"
)

// TestRandomSequencesAreSeenAsSsSeesThem lets programs leak, accept, read and close at random,
// and compares after each step. CLOSEWAIT_LONG=1 makes it take a minute.
func TestRandomSequencesAreSeenAsSsSeesThem(t *testing.T) {
	hosttest.Require(t)
	lasts := 4 * time.Second
	if os.Getenv("CLOSEWAIT_LONG") != "" {
		lasts = time.Minute
	}
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	leaks := []*leaktest.Leak{
		leaktest.Start(t, "--sockets=5", "--outbound=3", "--unaccepted=50", "--unread=none", "--unread=fin", "--unread=100"),
		leaktest.Start(t, "--children=2", "--sockets=4", "--unaccepted=20", "--listen=[::1]:0", "--listen=[::]:0", "--connect=127.0.0.1"),
		leaktest.Where{NetNS: true}.Start(t, "--sockets=9", "--unaccepted=30", "--listen=127.0.0.1:0", "--listen=[::]:0", "--unread=7"),
		leaktest.Where{UID: unprivilegedID}.Start(t, "--zombie-leader", "--sockets=2", "--unaccepted=10"),
		leaktest.Where{PIDNS: true}.Start(t, "--sockets=3", "--unaccepted=10"),
	}
	var all []*trackedScanner
	for _, kind := range scannerKinds {
		all = append(all, openTracked(t, kind, scan.Options{Refresh: time.Hour, Workers: 1 + random.IntN(3)}))
		all[len(all)-1].view() // a socket that was never seen in CLOSE_WAIT cannot be followed
	}
	var history []string
	for end := time.Now().Add(lasts); time.Now().Before(end) && !t.Failed(); {
		i := random.IntN(len(leaks))
		command := randomCommand(random, leaks[i])
		history = append(history, fmt.Sprintf("%d: %s", i, command))
		leaks[i].Do(command)
		for _, scanner := range all {
			if len(leaks[i].Children) > 0 { // only then it notices that one holder has closed while another has not
				scan.RefreshNow(scanner.Scanner)
			}
			v := scanner.view()
			for _, l := range leaks {
				v.agreesWithTruth(l)
			}
		}
		if random.IntN(4) == 0 && stateOf(t, leaks[i].PID) != 'Z' { // ss does not find its descriptors
			for _, scanner := range all {
				scanner.view().agrees(leaks[i])
			}
		}
	}
	t.Logf("%d steps with seed %d", len(history), seed)
	if t.Failed() {
		t.Logf("after\n%s", strings.Join(history, "\n"))
	}
}

// randomCommand returns a command that the program can carry out.
func randomCommand(random *rand.Rand, l *leaktest.Leak) string {
	closable := countHeld(l, l.PID)
	switch random.IntN(7) {
	case 0:
		return "read"
	case 1:
		return fmt.Sprintf("accept %d", random.IntN(min(l.Unaccepted, 3)+1))
	case 2:
		return fmt.Sprintf("close %d", random.IntN(closable+1))
	case 3:
		return fmt.Sprintf("reset %d", random.IntN(min(closable, 3)+1))
	case 4:
		return fmt.Sprintf("discard %d", random.IntN(countClosed(l, l.PID)+1))
	default:
		return fmt.Sprintf("leak %d", random.IntN(6))
	}
}

// countHeld returns the number of sockets in CLOSE_WAIT that a process holds, as the program
// says.
func countHeld(l *leaktest.Leak, pid int) int {
	return countOf(l, pid, func(k truth.Kind) bool { return k != truth.Closed })
}

func countClosed(l *leaktest.Leak, pid int) int {
	return countOf(l, pid, func(k truth.Kind) bool { return k == truth.Closed })
}

func countOf(l *leaktest.Leak, pid int, wanted func(truth.Kind) bool) (n int) {
	for _, s := range l.Sockets {
		if wanted(s.Kind) && slices.Contains(s.Holders, pid) {
			n++
		}
	}
	return n
}
