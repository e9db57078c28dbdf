package scan

import (
	"slices"
	"testing"

	"closewait_exporter/closewait"
)

func TestTheHoldersOfAListenerAreTheSameEachTime(t *testing.T) {
	one, two := closewait.ProcessID{PID: 7, Start: 1}, closewait.ProcessID{PID: 9, Start: 2}
	b := &bpfScan{listening: map[uint64][]closewait.ProcessID{4711: {two, one, two}}} // two descriptors of one process
	first := b.holdersOfListener(4711)
	kept := slices.Clone(first)
	for range 2 {
		if got := b.holdersOfListener(4711); !slices.Equal(got, []closewait.ProcessID{one, two}) {
			t.Errorf("holders %v, want %v and %v", got, one, two)
		}
	}
	if !slices.Equal(first, kept) {
		t.Errorf("the first answer has become %v", first)
	}
}
