package policy

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"closewait_exporter/closewait"
	"closewait_exporter/internal/checksum"
	"closewait_exporter/reaper/rules"
)

// hostileStates are states that an editor can write, with a right checksum, and no exporter writes.
var hostileStates = map[string]string{
	"negative relapses":              `"cooldowns":[{"rule":"leak","group":"alice (uid 0)","left_ns":1,"length_ns":1,"relapses":-1}]`,
	"more relapses than are counted": `"cooldowns":[{"rule":"leak","group":"alice (uid 0)","left_ns":1,"length_ns":1,"relapses":7}]`,
	"relapses that overflow":         `"cooldowns":[{"rule":"leak","group":"alice (uid 0)","left_ns":1,"length_ns":1,"relapses":9223372036854775807}]`,
	"a negative length":              `"cooldowns":[{"rule":"leak","group":"alice (uid 0)","left_ns":-2,"length_ns":-1}]`,
	"more left than the length":      `"cooldowns":[{"rule":"leak","group":"alice (uid 0)","left_ns":2,"length_ns":1}]`,
	"a cooldown of three centuries":  `"cooldowns":[{"rule":"leak","group":"alice (uid 0)","left_ns":1,"length_ns":9223372036854775807}]`,
	"a cooldown from the future":     `"cooldowns":[{"rule":"leak","group":"alice (uid 0)","left_ns":1,"length_ns":1,"since_ago_ns":-1}]`,
	"two cooldowns of a group":       `"cooldowns":[{"rule":"leak","group":"x"},{"rule":"leak","group":"x","relapses":3}]`,
	"an action in the future":        `"actions_ago_ns":[-1]`,
	"actions in the wrong order":     `"actions_ago_ns":[1,2]`,
	"an action that overflows":       `"actions_ago_ns":[-9223372036854775808]`,
	"no budget for centuries":        `"no_budget_for_ns":9223372036854775807`,
	"a budget before its time":       `"no_budget_for_ns":-1`,
	"a negative uptime":              `"uptime_ns":-9223372036854775808`,
	"a group due in the future":      `"due":[{"rule":"leak","group":"x","ago_ns":-1}]`,
	"suspended for centuries":        `"suspended":[{"rule":"leak","left_ns":9223372036854775807}]`,
	"a pid that is no number":        `"cooldowns":[{"rule":"leak","group":"x","targets":[{"pid":"1"}]}]`,
}

func TestAStateThatNoExporterWritesIsRefused(t *testing.T) {
	for name, content := range hostileStates {
		t.Run(name, func(t *testing.T) {
			if _, err := (State{}).Decode([]byte(sealed(`{"version":3,`+content+`}`)), epoch, thisBoot); !errors.Is(err, checksum.ErrDamaged) {
				t.Errorf("error %v", err)
			}
		})
	}
	t.Run("but one with all values at their limits is not", func(t *testing.T) {
		const state = `"no_budget_for_ns":2018304000000000000,"actions_ago_ns":[9223372036854775807,0],` +
			`"cooldowns":[{"rule":"leak","group":"x","left_ns":-9223372036854775808,"length_ns":2018304000000000000,"relapses":6,"since_ago_ns":9223372036854775807}]`
		if _, err := (State{}).Decode([]byte(sealed(`{"version":3,`+state+`}`)), epoch, thisBoot); err != nil {
			t.Error(err)
		}
	})
}

// FuzzState decodes any content of the file, with a right checksum, and decides with the result: it
// must not panic, keep what it says, and allow no more than limits do.
func FuzzState(f *testing.F) {
	good, err := someLimiter().encode(epoch, thisBoot)
	if err != nil {
		f.Fatal(err)
	}
	_, state, _ := strings.Cut(strings.TrimSuffix(string(good), "}"), `"state":`)
	f.Add(state, int64(0))
	f.Add(`{"version":3}`, int64(math.MaxInt64))
	for _, content := range hostileStates {
		f.Add(`{"version":3,`+content+`}`, int64(time.Hour))
	}
	p := policy(rule())
	f.Fuzz(func(t *testing.T, state string, uptime int64) {
		boot := closewait.Boot{ID: thisBoot.ID, Uptime: time.Duration(max(uptime, 0))}
		s, err := State{}.Decode([]byte(sealed(state)), epoch, boot)
		if err != nil {
			return
		}
		data, err := s.Encode(epoch, boot)
		if err != nil {
			t.Fatal(err)
		}
		again, err := State{}.Decode(data, epoch, boot)
		if err != nil {
			t.Fatalf("what was read cannot be read again: %v", err)
		}
		if l := &s.limiters[rules.Enforce]; l.frozenUntil.Before(epoch) {
			l.frozenUntil = epoch // that it is over is all that is kept
		}
		if diff := cmp.Diff(&s.limiters[rules.Enforce], &again.limiters[rules.Enforce], limiterCmp); diff != "" {
			t.Fatalf("it reads its own file differently (-first +second):\n%s", diff)
		}
		for minute := range 3 {
			var decisions []Decision
			at := time.Duration(minute) * time.Minute
			left := s.BudgetLeft(rules.Enforce, epoch.Add(at), p.Limits())
			decisions, s = p.Decide(view(at, leaking(alice, bob)...), s)
			if n := count(decisions, LabelAct); n > left || left > p.Limits().Actions {
				t.Fatalf("%d actions, %d are left", n, left)
			}
			for i := range decisions {
				if decisions[i].Acts() {
					s = s.Ended(RunResult{ID: decisions[i].ID(), Mode: rules.Enforce, At: epoch.Add(at)})
				}
			}
		}
	})
}
