package page

import (
	"strings"
	"testing"
	"time"

	"closewait_exporter/history"
)

func TestASparklineHasALineAndWords(t *testing.T) {
	at := func(minute, sockets int) history.Point {
		return history.Point{At: now.Add(time.Duration(minute) * time.Minute), Sockets: sockets}
	}
	for name, c := range map[string]struct {
		points     []history.Point
		line, text string
	}{
		"growth":      {[]history.Point{at(0, 0), at(30, 50), at(60, 100)}, "0.0,19.0 50.0,10.0 100.0,1.0", "ended connections over the last 1h00m: 0 at first, 100 now, 100 at most"},
		"by the time": {[]history.Point{at(0, 10), at(50, 10), at(60, 5)}, "0.0,1.0 83.3,1.0 100.0,10.0", "ended connections over the last 1h00m: 10 at first, 5 now, 10 at most"},
		"none":        {[]history.Point{at(0, 0), at(1, 0), at(2, 0)}, "0.0,19.0 50.0,19.0 100.0,19.0", "ended connections over the last 2m00s: 0 at first, 0 now, 0 at most"},
	} {
		got := newSparkline(c.points)
		if got == nil || got.Points != c.line || got.Text != c.text {
			t.Errorf("%s: %+v", name, got)
		}
	}
	for _, points := range [][]history.Point{nil, {at(0, 1)}, {at(0, 1), at(1, 2)}} {
		if got := newSparkline(points); got != nil {
			t.Errorf("of %d points: %+v", len(points), got)
		}
	}
}

func TestThePageHasSparklinesIfThereIsAHistory(t *testing.T) {
	with := get(t, pageOf(shopOverTime(), nil, nil), "/").source
	without := get(t, pageOf(shop(), nil, nil), "/").source
	if n := strings.Count(with, `<svg class="sparkline"`); n != 7 || !strings.Contains(with, "over the last 20m00s: 732 at first, 812 now, 812 at most") {
		t.Errorf("%d sparklines in\n%s", n, with)
	}
	if strings.Contains(without, "sparkline\"") {
		t.Error("there are sparklines of nothing")
	}
}
