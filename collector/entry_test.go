package collector

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"closewait_exporter/closewait"
)

func TestTheLimitOfAGroupIsKnownOnlyWhenAllAre(t *testing.T) {
	const unlimited = closewait.UnlimitedFDs
	for name, test := range map[string]struct {
		limits []uint64
		want   uint64
	}{
		"limits add up":                        {[]uint64{1024, 4096}, 5120},
		"one unknown makes all unknown":        {[]uint64{1024, 0, unlimited}, 0},
		"one unlimited makes all unlimited":    {[]uint64{unlimited, 1024, unlimited}, unlimited},
		"limits too large to add are no limit": {[]uint64{unlimited - 1, unlimited - 1, 5}, unlimited},
	} {
		t.Run(name, func(t *testing.T) {
			var holders []*closewait.Holder
			for _, limit := range test.limits {
				holders = append(holders, &closewait.Holder{Process: closewait.Process{MaxFDs: limit}})
			}
			if got := sumOfLimits(holders); got != test.want {
				t.Errorf("sum of %d is %d, want %d", test.limits, got, test.want)
			}
		})
	}
}

func TestDescriptorsOfAGroupAreLeftOutWhenOneProcessHidesThem(t *testing.T) {
	known, hidden := tomcat(), tomcatFork()
	hidden.FDsKnown = false
	if total := sum([]*closewait.Holder{known, hidden}); total.FDsKnown {
		t.Errorf("%d open descriptors are known", total.OpenFDs)
	}
}

func TestAddingUpLeavesTheViewAsItIs(t *testing.T) {
	a := holderOf(1, holding(aged(1, time.Minute, 1), aged(2, time.Second, 1)), holding())
	b := holderOf(2, holding(aged(3, time.Hour, 2)), holding())
	before := append([]*closewait.Socket(nil), a.Ended.Sockets...)
	total := sum([]*closewait.Holder{a, b})
	if total.Ended.Len() != 3 || total.Ended.Oldest(taken) != time.Hour {
		t.Errorf("%d sockets, the oldest %v old", total.Ended.Len(), total.Ended.Oldest(taken))
	}
	for i, s := range before {
		if a.Ended.Sockets[i] != s {
			t.Errorf("socket %d of the first holder is another one now", i)
		}
	}
}

// Processes that differ in the View but not in the labels become one entry.
func TestProcessesThatLookTheSameAreAddedUp(t *testing.T) {
	one := holderOf(1, holding(aged(1, time.Minute, 1)), holding())
	two := holderOf(1, holding(aged(2, time.Minute, 1)), holding())
	three := holderOf(3, holding(aged(3, time.Minute, 3)), holding())
	one.Comm, two.Comm, three.Comm = "a\n", "a\t", "a\r"
	one.Exe, two.Exe, three.Exe = "/a\n", "/a\t", "/b"
	for pidLabel, want := range map[bool]map[string]int{
		true:  {"1": 2, "3": 1},
		false: {"": 3},
	} {
		got, infos := map[string]int{}, 0
		for _, e := range entries([]*closewait.Holder{one, two, three}, pidLabel) {
			pid := ""
			if pidLabel {
				pid = e.labels[1]
			}
			got[pid] += e.Ended.Len()
			infos += len(e.infos)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("pid label %t (-want +got):\n%s", pidLabel, diff)
		}
		if infos != 2 {
			t.Errorf("pid label %t: %d infos, want /a and /b", pidLabel, infos)
		}
	}
}
