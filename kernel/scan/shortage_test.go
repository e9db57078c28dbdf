package scan_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"closewait_exporter/internal/hosttest"
	"closewait_exporter/internal/leaktest"
	"closewait_exporter/kernel/scan"
)

// resourceShortage is a scan service that can run out of descriptors, and what it must find.
type resourceShortage struct {
	t         *testing.T
	service   *subprocess
	options   scan.Options
	want      map[int]reportedHolder
	elsewhere int // the process whose namespace takes more descriptors than the others
}

// Numbers of descriptors that are left.
const (
	noShortage = -1
	enough     = 16
)

func withEachShortage(t *testing.T, test func(*resourceShortage)) {
	hosttest.Require(t)
	family := leaktest.Start(t, "--sockets=3", "--unaccepted=2", "--children=1")
	alone := leaktest.Start(t, "--sockets=4")
	elsewhere := leaktest.Where{NetNS: true}.Start(t, "--sockets=5")
	withEachScanner(t, func(t *testing.T, kind scannerKind) {
		test(&resourceShortage{t, startScanService(t, nil), scan.Options{Scanner: kind.name, Refresh: always}, map[int]reportedHolder{
			family.PID: {CloseWait: 3, Unaccepted: 2, Entered: 3}, family.Children[0]: {CloseWait: 3, Entered: 3},
			alone.PID: {CloseWait: 4, Entered: 4}, elsewhere.PID: {CloseWait: 5, Entered: 5},
		}, elsewhere.PID})
	})
}

// TestTooFewDescriptorsOfOurOwnAreAnErrorAndNeverAWrongNumber leaves a scanner few
// descriptors, so that opening fails at one point of the scan after the other.
func TestTooFewDescriptorsOfOurOwnAreAnErrorAndNeverAWrongNumber(t *testing.T) {
	withEachShortage(t, func(s *resourceShortage) {
		s.open()
		s.complete("at first")
		before := uint64(0)
		for left := range enough {
			s.leave(left)
			got := s.service.ask(scanRequest{Scan: true})
			s.honest(left, got, countLimits(got.ScanErrors)-before)
			before = countLimits(got.ScanErrors)
			s.leave(noShortage)
			s.complete("after the shortage")
		}
		s.leave(enough)
		s.complete("with a few to spare")
	})
}

func TestAfterAShortageFromTheBeginningNothingIsMissing(t *testing.T) {
	withEachShortage(t, func(s *resourceShortage) {
		for left := range enough {
			s.open()
			s.leave(left)
			s.service.ask(scanRequest{Scan: true})
			s.leave(noShortage)
			s.complete("after the shortage")
		}
	})
}

func (s *resourceShortage) open() {
	s.t.Helper()
	if got := s.service.ask(scanRequest{Open: &s.options}); got.Error != "" {
		s.t.Fatal(got.Error)
	}
}

func (s *resourceShortage) leave(descriptors int) {
	s.t.Helper()
	if got := s.service.ask(scanRequest{Headroom: &descriptors}); got.Error != "" {
		s.t.Fatal(got.Error)
	}
}

// complete checks that a scan finds everything.
func (s *resourceShortage) complete(when string) {
	s.t.Helper()
	got := s.service.ask(scanRequest{Scan: true})
	if got.Error != "" || got.Unread != 0 || got.Coverage != 1 || len(got.Holders) != len(s.want) {
		s.t.Errorf("%s: error %q, %d namespaces unread, coverage %v, holders %v", when, got.Error, got.Unread, got.Coverage, got.Holders)
	}
	for pid, want := range s.want {
		if h := got.Holders[pid]; h != want {
			s.t.Errorf("%s: process %d: %+v, want %+v", when, pid, h, want)
		}
	}
}

// honest checks that what a scan finds despite the shortage is right, and that the rest is an
// error or a counted error.
func (s *resourceShortage) honest(left int, got scanResponse, scanErrors uint64) {
	s.t.Helper()
	if got.Error != "" && !strings.Contains(got.Error, "too many open files") {
		s.t.Errorf("%d left: error %q does not say what is wrong", left, got.Error)
	}
	for pid, h := range got.Holders {
		want := s.want[pid]
		if pid == s.elsewhere && got.Unread > 0 {
			want.CloseWait = h.CloseWait // its namespace could not be read
		}
		if h != want {
			s.t.Errorf("%d left: process %d: %+v, want %+v", left, pid, h, want)
		}
	}
	if got.Error == "" && len(got.Holders) < len(s.want) && scanErrors == 0 {
		s.t.Errorf("%d left: some are missing of %v, and no error was counted", left, got.Holders)
	}
}

func countLimits(scanErrors map[string]uint64) (n uint64) {
	for name, times := range scanErrors {
		if strings.HasSuffix(name, "/limit") {
			n += times
		}
	}
	return n
}

// TestAShortageMakesNoSocketClosed leaves a scanner short of descriptors when some sockets are
// closed by their program and others by their peer.
func TestAShortageMakesNoSocketClosed(t *testing.T) {
	hosttest.Require(t)
	withEachScanner(t, func(t *testing.T, kind scannerKind) {
		service := startScanService(t, nil)
		for left := range enough {
			l := leaktest.Where{NetNS: left%2 == 0}.Start(t, "--sockets=6")
			if got := service.ask(scanRequest{Open: &scan.Options{Scanner: kind.name, Refresh: time.Hour}, Scan: true}); got.Holders[l.PID].CloseWait != 6 {
				t.Fatalf("at first %+v; %s", got.Holders, got.Error)
			}
			l.Do("reset 3")
			l.Do("close 2")
			got := service.ask(scanRequest{Headroom: &left, Scan: true})
			if n := got.Holders[l.PID].Closed; n > 3 || got.Error == "" && n < 3 && countLimits(got.ScanErrors) == 0 {
				t.Errorf("with %d descriptors left %d are closed, want 3, or an error: %v %s", left, n, got.ScanErrors, got.Error)
			}
			again := noShortage
			leaktest.Eventually(t, timeout, func() (bool, string) {
				got := service.ask(scanRequest{Headroom: &again, Scan: true}).Holders[l.PID]
				return got.Closed == 3 && got.CloseWait == 1, fmt.Sprintf("after that %+v, want 3 closed and 1 held", got)
			})
			l.Stop()
		}
	})
}
