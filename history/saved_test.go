package history

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/internal/checksum"
)

var thisBoot = closewait.Boot{ID: "b00t", Uptime: 3 * time.Hour}

// leaky is a history of a process that leaks one socket a second for half an hour, and the time of
// its last View.
func leaky() (*History, process, time.Duration) {
	h, now := New(), time.Duration(0)
	p := process{pid: 7, unit: "shop.service", started: -time.Hour, limit: 8192}
	for ; now < 30*time.Minute; now += 5 * time.Second {
		p.sockets, p.fds = int(now.Seconds()), 100+uint64(now.Seconds())
		h.Add(at(now, p))
	}
	return h, p, now - 5*time.Second
}

func TestAHistoryGoesOnAfterARestart(t *testing.T) {
	for name, c := range map[string]struct {
		off   time.Duration // until the exporter runs again
		boot  closewait.Boot
		clock time.Duration // by which the wall clock is set meanwhile
		known bool          // the process
	}{
		"at once":                             {time.Second, closewait.Boot{ID: "b00t", Uptime: thisBoot.Uptime + time.Second}, 0, true},
		"after a minute":                      {time.Minute, closewait.Boot{ID: "b00t", Uptime: thisBoot.Uptime + time.Minute}, 0, true},
		"after a minute, the clock set back":  {time.Minute, closewait.Boot{ID: "b00t", Uptime: thisBoot.Uptime + time.Minute}, -24 * time.Hour, true},
		"after a minute, the clock set ahead": {time.Minute, closewait.Boot{ID: "b00t", Uptime: thisBoot.Uptime + time.Minute}, 24 * time.Hour, true},
		"after a reboot":                      {5 * time.Minute, closewait.Boot{ID: "other", Uptime: time.Minute}, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			h, p, last := leaky()
			data, err := h.Encode(start.Add(last), thisBoot)
			if err != nil {
				t.Fatal(err)
			}
			h, err = Decode(data, start.Add(last+c.off+c.clock), c.boot)
			if err != nil {
				t.Fatal(err)
			}
			for step := time.Second; step < 20*time.Second; step += time.Second {
				now := last + c.off + step
				p.sockets, p.fds = int(now.Seconds()), 100+uint64(now.Seconds())
				h.Add(at(now+c.clock, p))
			}
			trend, group := h.Process(p.id()), h.Group(p.described())
			if c.known != (trend.Sockets.Over > 10*time.Minute) || !near(trend.Sockets.PerSecond, 1) || !trend.RunsOut {
				t.Errorf("the process: %+v", trend)
			}
			if group.Sockets.Over < 5*time.Minute || group.Since.Add(-c.clock).Sub(start).Abs() > time.Minute {
				t.Errorf("the group: %+v", group)
			}
		})
	}
}

func TestARestartOfTheProgramWhileTheExporterIsOffCounts(t *testing.T) {
	h, p, last := leaky()
	data, err := h.Encode(start.Add(last), thisBoot)
	if err != nil {
		t.Fatal(err)
	}
	h, err = Decode(data, start.Add(last+time.Minute), closewait.Boot{ID: "b00t", Uptime: thisBoot.Uptime + time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	p.pid, p.started = 8, last+30*time.Second
	h.Add(at(last+time.Minute, p))
	if got := h.Group(p.described()).Restarts; got != 1 {
		t.Errorf("%d restarts, want 1", got)
	}
}

// TestAFullHistoryIsShort bounds what is written every few minutes.
func TestAFullHistoryIsShort(t *testing.T) {
	h := New()
	for i := range 3 * maxPoints {
		var all []process
		for pid := range 2 * maxSeries {
			all = append(all, process{pid: 1000 + pid, unit: fmt.Sprint("a-rather-long-name-of-a-unit@", pid, ".service"), started: -time.Hour, sockets: 1000 + i, fds: 100_000 + uint64(i), limit: closewait.UnlimitedFDs})
		}
		h.Add(at(time.Duration(i)*2*time.Minute, all...))
	}
	data, err := h.Encode(start.Add(6*time.Hour), thisBoot)
	if err != nil || len(data) > 1<<20 {
		t.Errorf("%d bytes, %v, want at most 1 MiB", len(data), err)
	}
	if _, err := Decode(data, start.Add(6*time.Hour), thisBoot); err != nil {
		t.Error(err)
	}
}

// sealed is a file of that content, with a right checksum.
func sealed(content string) []byte {
	data, _ := checksum.Encode(savedKeyword, json.RawMessage(content)) // of no JSON there is no file
	return data
}

func TestAFileThatNoExporterWritesIsRefused(t *testing.T) {
	for name, content := range map[string]string{
		"points in the wrong order":  `"groups":[{"group":"x","ago_ms":[1,2],"sockets":[1,1]}]`,
		"a point in the future":      `"groups":[{"group":"x","ago_ms":[-1],"sockets":[1]}]`,
		"a point of the stone age":   `"groups":[{"group":"x","ago_ms":[9223372036854775807],"sockets":[1]}]`,
		"no points":                  `"groups":[{"group":"x"}]`,
		"fewer numbers than points":  `"groups":[{"group":"x","ago_ms":[2,1],"sockets":[1]}]`,
		"too many points":            `"groups":[{"group":"x","ago_ms":[0` + strings.Repeat(",0", maxPoints) + `],"sockets":[0` + strings.Repeat(",0", maxPoints) + `]}]`,
		"a number that overflows":    `"groups":[{"group":"x","ago_ms":[1],"sockets":[9223372036854775807]}]`,
		"a process without a pid":    `"processes":[{"ago_ms":[1],"sockets":[1],"fds":[1],"limit":[1]}]`,
		"a process without a limit":  `"processes":[{"pid":1,"ago_ms":[1],"sockets":[1],"fds":[1]}]`,
		"a process of the future":    `"processes":[{"pid":1,"seen_ago_ns":-1,"ago_ms":[1],"sockets":[1],"fds":[1],"limit":[1]}]`,
		"less than no restart":       `"groups":[{"group":"x","restarts":-1,"ago_ms":[1],"sockets":[1]}]`,
		"a View of the future":       `"view_ago_ns":-1`,
		"a pid that is no number":    `"processes":[{"pid":"1"}]`,
		"more groups than there are": `"groups":[{}` + strings.Repeat(",{}", maxSeries) + `]`,
	} {
		if _, err := Decode(sealed(`{"version":1,`+content+`}`), start, thisBoot); !errors.Is(err, checksum.ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, data := range map[string]string{"nothing": "", "no JSON": "x", "another checksum": `{"checksum":1,"history":{"version":1}}`} {
		if _, err := Decode([]byte(data), start, thisBoot); !errors.Is(err, checksum.ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Decode(sealed(`{"version":2}`), start, thisBoot); err == nil || errors.Is(err, checksum.ErrDamaged) {
		t.Errorf("a newer version: %v", err)
	}
}

// FuzzDecode reads any content of the file, with a right checksum, and goes on with the result.
func FuzzDecode(f *testing.F) {
	h := New()
	for second := range 3 { // long seeds are slow
		h.Add(at(time.Duration(second)*time.Second, process{pid: 7, unit: "shop.service", sockets: second, fds: 1, limit: 9}))
	}
	content, err := json.Marshal(h.saved(start.Add(time.Minute), thisBoot))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(content)
	f.Fuzz(func(t *testing.T, content []byte) {
		h, err := Decode(sealed(string(content)), start.Add(time.Hour), thisBoot)
		if err != nil {
			return
		}
		p := process{pid: 7, unit: "shop.service", sockets: 1, fds: 1, limit: 9}
		h.Add(at(2*time.Hour, p))
		h.Process(p.id())
		h.Group(p.described())
		if len(h.processes) > maxSeries || len(h.groups) > maxSeries {
			t.Errorf("%d processes, %d groups", len(h.processes), len(h.groups))
		}
	})
}
