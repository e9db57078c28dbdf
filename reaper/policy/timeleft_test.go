package policy

import (
	"testing"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/reaper/condition"
	"closewait_exporter/reaper/rules"
)

// halfHour is a rule that acts on processes whose descriptors run out within half an hour.
func halfHour(r *rules.Rule) {
	r.When.FDs, r.When.TimeLeft = condition.Threshold{Ratio: 0.8}, 30*time.Minute
}

func TestTheTimeUntilDescriptorsRunOutIsACondition(t *testing.T) {
	perMinute := func(n float64) closewait.Growth {
		return closewait.Growth{PerSecond: n / 60, Over: 10 * time.Minute}
	}
	for name, c := range map[string]struct {
		open, limit uint64
		growth      closewait.Growth
		want, why   string
	}{
		"soon":                  {900, 1000, perMinute(4), "leak/10 act", "time_left: the descriptors run out in 25m0s by the trend of the last 10m0s, at most 30m0s required"},
		"at the limit of time":  {880, 1000, perMinute(4), "leak/10 act", "run out in 30m0s"},
		"later":                 {870, 1000, perMinute(4), "leak/10 enough_time", "run out in 32m30s"},
		"soon, and not many":    {700, 1000, perMinute(100), "leak/10 enough_fds", ""},
		"they do not grow":      {900, 1000, perMinute(0), "leak/10 enough_time", "do not run out by the trend of the last 10m0s, at most 30m0s required"},
		"they shrink":           {900, 1000, perMinute(-4), "leak/10 enough_time", "do not run out"},
		"the growth is unknown": {900, 1000, closewait.Growth{}, "leak/10 enough_time", "how fast the descriptors grow is not known yet"},
		"they have run out":     {1000, 1000, closewait.Growth{}, "leak/10 act", "time_left: the descriptors have run out"},
		"there is no limit":     {900, closewait.UnlimitedFDs, perMinute(100), "leak/10 enough_fds", ""},
	} {
		t.Run(name, func(t *testing.T) {
			p := policy(rule(halfHour))
			at := func(d time.Duration) *closewait.View {
				return view(d, holder(alice, sockets(2, 1, hour), func(p *closewait.Process) { p.OpenFDs, p.MaxFDs = c.open, c.limit }))
			}
			learned := map[closewait.ProcessID]closewait.Growth{alice: c.growth}
			_, s := p.Decide(at(0), State{}.LearnFDGrowth(learned))
			decisions, _ := p.Decide(at(time.Minute), s.LearnFDGrowth(learned))
			if got := describe(decisions); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
			if reason := decisions[0].Reason(); !contains(reason, c.why) {
				t.Errorf("the reason is %q, want %q in it", reason, c.why)
			}
		})
	}
}

func TestGrowthIsKnownForOneRoundOnly(t *testing.T) {
	p := policy(rule(halfHour))
	at := func(d time.Duration) *closewait.View {
		return view(d, holder(alice, sockets(2, 1, hour), openFDs(900)))
	}
	_, s := p.Decide(at(0), State{}.LearnFDGrowth(map[closewait.ProcessID]closewait.Growth{alice: {PerSecond: 1, Over: time.Minute}}))
	if decisions, _ := p.Decide(at(time.Minute), s); describe(decisions) != "leak/10 enough_time" {
		t.Error(describe(decisions))
	}
}

func TestTimeLeftIsAskedAgainBeforeEachStep(t *testing.T) {
	p := policy(rule(halfHour))
	at := func(d time.Duration) *closewait.View {
		return view(d, holder(alice, sockets(2, 1, hour), openFDs(900)))
	}
	soon := closewait.Growth{PerSecond: 1, Over: time.Minute}
	learned := map[closewait.ProcessID]closewait.Growth{alice: soon}
	_, s := p.Decide(at(0), State{}.LearnFDGrowth(learned))
	decisions, s := p.Decide(at(time.Minute), s.LearnFDGrowth(learned))
	d := &decisions[0]
	if !d.Acts() {
		t.Fatal(describe(decisions))
	}
	for name, c := range map[string]struct {
		growth closewait.Growth
		limit  uint64
		want   Label
	}{
		"as before":                     {soon, 1000, unlabelled},
		"they do not grow any more":     {closewait.Growth{Over: time.Minute}, 1000, "enough_time"},
		"it is not known any more":      {closewait.Growth{}, 1000, "enough_time"},
		"somebody has raised the limit": {soon, 1100, unlabelled},
		"slower, and still soon enough": {closewait.Growth{PerSecond: 0.06, Over: time.Minute}, 1000, unlabelled},
		"slower":                        {closewait.Growth{PerSecond: 0.05, Over: time.Minute}, 1000, "enough_time"},
	} {
		facts := factsOf(d)
		facts[0].FDGrowth, facts[0].Process.MaxFDs = c.growth, c.limit
		if got := p.Recheck(at(90*time.Second), s, d, 1, facts); got.Label != c.want {
			t.Errorf("%s: %q because of %q, want %q", name, got.Label, got.Why, c.want)
		}
	}
}

func TestGrowthIsNeededForTimeLeftOnly(t *testing.T) {
	if policy(rule()).NeedsFDGrowth() || !policy(rule(), rule(halfHour)).NeedsFDGrowth() {
		t.Error("the growth is needed if, and only if, some rule has time_left")
	}
}
