package kernel_test

import (
	"strings"
	"testing"

	"closewait_exporter/internal/leaktest"
	"closewait_exporter/kernel"
)

// TestTooFewDescriptorsOfOurOwnAreAnErrorOrAFaultAndNeverAWrongNumber leaves a Scanner so few
// descriptors that opening fails at one point of the scan after the other.
func TestTooFewDescriptorsOfOurOwnAreAnErrorOrAFaultAndNeverAWrongNumber(t *testing.T) {
	const enough, fine = 16, -1
	family := leaktest.Start(t, "--sockets=3", "--unaccepted=2", "--children=1")
	alone := leaktest.Start(t, "--sockets=4")
	elsewhere := leaktest.Where{NetNS: true}.Start(t, "--sockets=5")
	want := map[int]reportedHolder{
		family.PID: {Held: 3, Unaccepted: 2}, family.Children[0]: {Held: 3}, alone.PID: {Held: 4}, elsewhere.PID: {Held: 5},
	}
	withEachEngine(t, func(t *testing.T, e engine) {
		l := startLooker(t, nil)
		options := kernel.Options{Engine: e.name, Relook: atOnce}
		set := func(headroom int) {
			if got := l.ask(order{Headroom: &headroom}); got.Error != "" {
				t.Fatal(got.Error)
			}
		}
		complete := func(when string) {
			t.Helper()
			got := l.ask(order{Look: true})
			if got.Error != "" || got.Unread != 0 || got.Coverage != 1 || len(got.Holders) != len(want) {
				t.Errorf("%s: error %q, %d namespaces unread, coverage %v, holders %v", when, got.Error, got.Unread, got.Coverage, got.Holders)
			}
			for pid, w := range want {
				if h := got.Holders[pid]; h.Held != w.Held || h.Unaccepted != w.Unaccepted || h.Left != 0 || h.Entered != uint64(w.Held+w.Unaccepted) {
					t.Errorf("%s: process %d: %+v, want %+v", when, pid, h, w)
				}
			}
		}
		if got := l.ask(order{Open: &options}); got.Error != "" {
			t.Fatal(got.Error)
		}
		complete("at first")
		before := uint64(0)
		for headroom := range enough {
			set(headroom)
			got := l.ask(order{Look: true})
			limits := countLimits(got.Faults)
			failed := got.Error != ""
			if failed && !strings.Contains(got.Error, "too many open files") {
				t.Errorf("%d left: error %q does not say what is wrong", headroom, got.Error)
			}
			for pid, h := range got.Holders {
				if w := want[pid]; h.Left != 0 || h.Held != w.Held && !(pid == elsewhere.PID && got.Unread > 0) || h.Unaccepted != w.Unaccepted {
					t.Errorf("%d left: process %d: %+v, want %+v", headroom, pid, h, w)
				}
			}
			if !failed && len(got.Holders) < len(want) && limits == before {
				t.Errorf("%d left: some of %v are missing and there is no fault", headroom, got.Holders)
			}
			before = limits
			set(fine)
			complete("after the shortage")
		}
		set(enough)
		complete("with a few to spare")
		set(fine)
		for headroom := range enough { // nothing is known from before
			l.ask(order{Open: &options})
			set(headroom)
			l.ask(order{Look: true})
			set(fine)
			complete("after a shortage at first")
		}
	})
}

func countLimits(faults map[string]uint64) (n uint64) {
	for name, times := range faults {
		if strings.HasSuffix(name, "/limit") {
			n += times
		}
	}
	return n
}
