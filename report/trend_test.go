package report

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"closewait_exporter/closewait"
	"closewait_exporter/history"
)

func TestRatesHaveTheUnitInWhichTheyAreAtLeastOne(t *testing.T) {
	tests := map[string]closewait.Growth{
		"-":        {},
		"0":        {Over: time.Minute},
		"+1.0/s":   {PerSecond: 0.9999, Over: time.Minute},
		"+9.9/s":   {PerSecond: 9.94, Over: time.Minute},
		"+10/s":    {PerSecond: 9.96, Over: time.Minute},
		"+1234/s":  {PerSecond: 1234.4, Over: time.Minute},
		"-2.5/s":   {PerSecond: -2.5, Over: time.Minute},
		"+59/min":  {PerSecond: 0.99, Over: time.Minute},
		"+30/min":  {PerSecond: 0.5, Over: time.Minute},
		"+1.2/min": {PerSecond: 0.02, Over: time.Minute},
		"-1.2/min": {PerSecond: -0.02, Over: time.Minute},
		"+12/h":    {PerSecond: 12.0 / 3600, Over: time.Minute},
		"+0.4/h":   {PerSecond: 0.4 / 3600, Over: time.Minute},
	}
	for want, g := range tests {
		if got := rate(g); got != want {
			t.Errorf("%+v is %q, want %q", g, got, want)
		}
	}
}

func TestTheTimeLeftIsSaidAsFarAsItIsKnown(t *testing.T) {
	tests := map[string]history.Trend{
		"0s":     {RunsOut: true},
		"<1s":    {RunsOut: true, Left: time.Millisecond},
		"12m30s": {RunsOut: true, Left: 12*time.Minute + 30*time.Second},
		"29d00h": {RunsOut: true, Left: 29 * day},
	}
	for want, trend := range tests {
		if got := left(&trend); got != want {
			t.Errorf("%+v is %q, want %q", trend, got, want)
		}
	}
	for _, trend := range []history.Trend{{}, {Left: time.Hour}, {RunsOut: true, Left: 31 * day}} {
		if got := left(&trend); got != "-" {
			t.Errorf("%+v is %q, want a dash", trend, got)
		}
	}
}

// growing is the Report about a process that leaks one connection a second, and was started again
// a minute ago.
func growing() *Report {
	past, tracker := history.New(), closewait.NewTracker(nil)
	var r *Report
	for second := 0; second <= 120; second += 5 {
		h := newHost()
		h.Taken = now.Add(time.Duration(second-120) * time.Second)
		p, age := closewait.Process{ID: closewait.ProcessID{PID: 7}, Comm: "shop", Unit: "shop.service", FDsKnown: true, MaxFDs: 1024}, second
		if second >= 60 {
			p.ID.PID, age, h.cookies = 8, second-60, 1000
		}
		p.OpenFDs = 100 + uint64(age)
		id := h.process(p)
		h.Processes[0].StartTime = h.Taken.Add(-time.Duration(age)*time.Second - time.Second)
		h.sockets(age+1, closewait.SocketSample{Facts: closewait.Facts{Direction: closewait.Inbound}, Holders: []closewait.ProcessID{id}},
			"10.0.0.5:8080", "10.1.2.3:40000", time.Duration(age)*time.Second)
		view := tracker.Update(&h.Snapshot)
		past.Add(view)
		r = newReport(view, 0)
	}
	r.History = past
	return r
}

func TestTrendsAreShownIfThereIsAHistory(t *testing.T) {
	r := growing()
	got := processes(t, r)
	lines := strings.Split(got, "\n")
	titles, cells := strings.Fields(lines[0]), strings.Fields(lines[1])
	shown := map[string]string{}
	for i, title := range titles[:len(titles)-3] { // the cells that follow can have several words
		shown[title] = cells[i]
	}
	want := map[string]string{"SOCKETS": "61", "RATE": "+1.0/s"}
	for title, cell := range want {
		if shown[title] != cell {
			t.Errorf("%s is %q, want %q", title, shown[title], cell)
		}
	}
	for _, want := range []string{
		" 160/1024 15%  14m24s  in :8080", "by the trend of the last 1m00s.",
		"shop.service leaks again after 1 restart since 2026-11-21 01:58:00 UTC: +57/min over all its processes.",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in\n%s", want, got)
		}
	}
	r.History = nil
	if plain := processes(t, r); strings.Contains(plain, "RATE") || strings.Contains(plain, "LEFT") {
		t.Errorf("there are trends without a history:\n%s", plain)
	}
}

func TestTheJSONHasTrendsIfThereIsAHistory(t *testing.T) {
	type trend struct {
		OverSeconds      float64  `json:"over_seconds"`
		SocketsPerSecond *float64 `json:"sockets_per_second"`
		FDsPerSecond     *float64 `json:"fds_per_second"`
		LeftSeconds      *float64 `json:"left_seconds"`
		GroupRestarts    int      `json:"group_restarts"`
	}
	decode := func(r *Report) *trend {
		var text strings.Builder
		if err := r.JSON(&text, false); err != nil {
			t.Fatal(err)
		}
		var got struct{ Processes []struct{ Trend *trend } }
		if err := json.Unmarshal([]byte(text.String()), &got); err != nil {
			t.Fatal(err)
		}
		return got.Processes[0].Trend
	}
	r := growing()
	got := decode(r)
	if got == nil || got.SocketsPerSecond == nil || got.FDsPerSecond == nil || got.LeftSeconds == nil {
		t.Fatalf("%+v", got)
	}
	rounded := []int{int(got.OverSeconds), int(*got.SocketsPerSecond*1000 + 0.5), int(*got.FDsPerSecond*1000 + 0.5), int(*got.LeftSeconds + 0.5), got.GroupRestarts}
	if diff := cmp.Diff([]int{60, 1000, 1000, 864, 1}, rounded); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if r.History = nil; decode(r) != nil {
		t.Error("there is a trend without a history")
	}
	r.History = history.New()
	if got := decode(r); got == nil || got.SocketsPerSecond != nil || got.LeftSeconds != nil {
		t.Errorf("what is not known yet is %+v, want null", got)
	}
}
