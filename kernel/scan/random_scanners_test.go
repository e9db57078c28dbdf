package scan_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"closewait_exporter/closewait"
	"closewait_exporter/internal/hosttest"
	"closewait_exporter/kernel/scan"
)

// seedVariable is set to repeat the operations of a failed test.
const seedVariable = "CLOSEWAIT_SEED"

// TestScannersAgreeOnRandomPrograms has programs carry out random operations on connections.
// After some operations all scanners scan, and ss and the descriptors of all processes are read.
// With CLOSEWAIT_LONG=1 it runs thousands of rounds.
func TestScannersAgreeOnRandomPrograms(t *testing.T) {
	hosttest.Require(t)
	const leastLong, lasts = 3000, 8 * time.Second
	seed := rand.Uint64()
	if given, err := strconv.ParseUint(os.Getenv(seedVariable), 10, 64); err == nil {
		seed = given
	}
	s := newComparison(t, seed)
	started, rounds := time.Now(), 0
	defer func() {
		t.Logf("%d rounds in %v, %d of them repeated, with %s=%d; sockets seen %v",
			rounds, time.Since(started).Round(time.Second), s.repeated, seedVariable, seed, s.seen)
		if t.Failed() {
			t.Logf("after\n%s", strings.Join(s.history[max(0, len(s.history)-60):], "\n"))
		}
	}()
	for more := true; more && !t.Failed(); rounds++ {
		for range 1 + s.random.IntN(4) {
			s.runRandom()
		}
		s.compare()
		more = time.Since(started) < lasts
		if os.Getenv("CLOSEWAIT_LONG") != "" {
			more = rounds < leastLong
		}
	}
}

// comparison has the programs and all scanners that scan them.
type comparison struct {
	t       *testing.T
	random  *rand.Rand
	actors  []*subprocess
	history []string

	ebpf, netlink, procfs *trackedScanner

	truth   map[connectionKey]end
	byInode map[uint64]end
	noise   map[uint64]bool // inodes

	// For each scanner that reads tables the descriptors of the sockets in its last scan, by inode.
	descriptors map[string]map[uint64]string

	repeated int            // rounds in which something changed between the scans
	seen     map[string]int // rows of each kind, to show what was tested
}

// connectionKey identifies a connection by its namespace and addresses.
type connectionKey struct {
	ns   closewait.NetNS
	ends string
}

func newComparison(t *testing.T, seed uint64) *comparison {
	t.Helper()
	s := &comparison{t: t, random: rand.New(rand.NewPCG(seed, 0)),
		truth: map[connectionKey]end{}, byInode: map[uint64]end{}, noise: map[uint64]bool{}, seen: map[string]int{}, descriptors: map[string]map[uint64]string{}}
	for _, attr := range []*syscall.SysProcAttr{
		{}, unprivileged(), {Cloneflags: unix.CLONE_NEWNET}, {Cloneflags: unix.CLONE_NEWNET | unix.CLONE_NEWPID},
	} {
		s.actors = append(s.actors, startActor(t, attr))
	}
	open := func(kind scannerKind) *trackedScanner {
		scanner := openTracked(t, kind, scan.Options{Refresh: time.Hour, Workers: 1 + s.random.IntN(2)})
		scanner.host.SeesAllProcesses = true
		return scanner
	}
	s.ebpf, s.netlink, s.procfs = open(scannerKinds[0]), open(scannerKinds[1]), open(scannerKinds[2])
	return s
}

// frequencies are the relative frequencies of operations.
var frequencies = []struct {
	do    string
	times int
}{
	{"connect", 12}, {"accept", 3}, {"reopen", 1}, {"write", 5}, {"read", 5}, {"shutdown", 4}, {"close", 6}, {"reset", 2}, {"dup", 2},
	{"set", 4}, {"disconnect", 1}, {"noise", 2}, {"fork", 2}, {"reap", 1}, {"send", 1}, {"receive", 1}, {"thread", 1}, {"join", 1},
}

func (s *comparison) runRandom() {
	s.t.Helper()
	var all []string
	for _, r := range frequencies {
		for range r.times {
			all = append(all, r.do)
		}
	}
	who := s.random.IntN(len(s.actors))
	next := operation{Do: all[s.random.IntN(len(all))], Which: s.random.IntN(1 << 20), Size: s.random.IntN(1 << 20)}
	s.history = append(s.history, fmt.Sprintf("%d: %+v", who, next))
	var done operationResult
	s.actors[who].exchange(next, &done)
	if done.Error != "" {
		s.t.Errorf("actor %d: %s", who, done.Error)
	}
	ns := netNSOf(s.t, s.actors[who].process.Pid)
	for _, e := range done.Ends {
		s.truth[connectionKey{ns, e.Local.String() + " " + e.Remote.String()}] = e
		s.byInode[e.Inode] = e
	}
	for _, inode := range done.Noise {
		s.noise[inode] = true
	}
}
