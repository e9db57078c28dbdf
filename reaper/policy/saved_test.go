package policy

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"closewait_exporter/closewait"
	"closewait_exporter/internal/checksum"
)

var thisBoot = closewait.Boot{ID: "b00t", Uptime: time.Hour}

func later(d time.Duration) closewait.Boot {
	return closewait.Boot{ID: thisBoot.ID, Uptime: thisBoot.Uptime + d}
}

// someLimiter is saved at the epoch.
func someLimiter() *limiter {
	return &limiter{
		actions:     []time.Time{epoch.Add(-8 * time.Minute), epoch.Add(-time.Minute)},
		frozenUntil: epoch.Add(5 * time.Minute),
		cooldowns: map[ruleGroup]cooldown{{"leak", "web.service"}: {
			epoch.Add(9 * time.Minute), 20 * time.Minute, 1, epoch.Add(-12 * time.Minute), []closewait.ProcessID{alice, bob},
		}},
		due:       map[ruleGroup]time.Time{{"leak", "web.service"}: epoch.Add(-time.Minute)},
		suspended: map[string]time.Time{"other": epoch.Add(time.Minute)},
	}
}

// shifted is someLimiter if less time has passed than the clock of the test says.
func shifted(by time.Duration) *limiter {
	l := someLimiter()
	for i := range l.actions {
		l.actions[i] = l.actions[i].Add(by)
	}
	l.frozenUntil = l.frozenUntil.Add(by)
	for key, c := range l.cooldowns {
		c.until, c.since = c.until.Add(by), c.since.Add(by)
		l.cooldowns[key] = c
	}
	for key := range l.due {
		l.due[key] = l.due[key].Add(by)
	}
	for key := range l.suspended {
		l.suspended[key] = l.suspended[key].Add(by)
	}
	return l
}

var limiterCmp = cmp.Options{cmp.AllowUnexported(limiter{}, cooldown{}, ruleGroup{}), cmp.Comparer(func(a, b time.Time) bool { return a.Equal(b) })}

func TestPastActionsOutliveTheProgram(t *testing.T) {
	scenarios := map[string]struct {
		boot closewait.Boot // at the start after
		now  time.Duration  // since the epoch, as the clock of the new program says
		want *limiter
	}{
		"at once":             {later(0), 0, shifted(0)},
		"three minutes later": {later(3 * time.Minute), 3 * time.Minute, shifted(0)},
		"three minutes later, clock set by a year":        {later(3 * time.Minute), 365 * 24 * time.Hour, shifted(365*24*time.Hour - 3*time.Minute)},
		"three minutes later, clock set back":             {later(3 * time.Minute), -time.Hour, shifted(-time.Hour - 3*time.Minute)},
		"an uptime that goes back is no time":             {closewait.Boot{ID: thisBoot.ID, Uptime: time.Second}, 0, shifted(0)},
		"after a restart of the host, its uptime is sure": {closewait.Boot{ID: "other", Uptime: 2 * time.Minute}, time.Hour, shifted(time.Hour - 2*time.Minute)},
	}
	for name, s := range scenarios {
		t.Run(name, func(t *testing.T) {
			data, err := someLimiter().encode(epoch, thisBoot)
			if err != nil {
				t.Fatal(err)
			}
			got, err := decode(data, epoch.Add(s.now), s.boot)
			if diff := cmp.Diff(s.want, &got, limiterCmp); err != nil || diff != "" {
				t.Errorf("%v; -want +got:\n%s", err, diff)
			}
		})
	}
}

func TestADamagedFileIsAnError(t *testing.T) {
	good, err := someLimiter().encode(epoch, thisBoot)
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{
		"empty":                 "",
		"cut short":             string(good[:len(good)/2]),
		"one digit changed":     strings.Replace(string(good), `"relapses":1`, `"relapses":0`, 1),
		"zeros":                 string(make([]byte, len(good))),
		"of an earlier version": sealed(`{"version":2}`),
		"of the future":         sealed(`{"version":4}`),
		"of a wrong shape":      sealed(`{"version":"3"}`),
		"something else":        "rules: []\n",
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := (State{}).Decode([]byte(content), epoch, thisBoot); err == nil || got.Frozen(epoch) {
				t.Errorf("error %v", err)
			}
		})
	}
}

// sealed is a file of that content, with a right checksum.
func sealed(state string) string {
	data, _ := checksum.Encode(savedKeyword, json.RawMessage(state)) // of no JSON there is no file
	return string(data)
}
