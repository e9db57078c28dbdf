package systemd

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/godbus/dbus/v5"
	"github.com/google/go-cmp/cmp"

	"closewait_exporter/closewait"
)

const shopGroup = "/system.slice/shop.service"

func TestUnitsThatMustNotBeRestarted(t *testing.T) {
	set := func(key string, value any) func(*fakeBus) {
		return func(b *fakeBus) { b.units["shop.service"][key] = value }
	}
	tests := map[string]struct {
		bus    *fakeBus
		cgroup string
		want   error
		text   string
	}{
		"masked":                   {newFakeBus("shop.service", set("LoadState", "masked")), shopGroup, closewait.ErrRefused, "is masked"},
		"not found":                {newFakeBus("shop.service", set("LoadState", "not-found")), shopGroup, closewait.ErrRefused, "is not-found"},
		"it refuses to be stopped": {newFakeBus("shop.service", set("RefuseManualStop", true)), shopGroup, closewait.ErrRefused, "refuses manual"},
		"it refuses to be started": {newFakeBus("shop.service", set("RefuseManualStart", true)), shopGroup, closewait.ErrRefused, "refuses manual"},
		"no invocation":            {newFakeBus("shop.service", set("InvocationID", []byte{})), shopGroup, closewait.ErrRefused, "InvocationID"},
		"a pending job":            {newFakeBus("shop.service", set("Job", []any{uint32(7), "/job/7"})), shopGroup, closewait.ErrUnitBusy, "job 7"},
		"it is being stopped":      {newFakeBus("shop.service", set("ActiveState", "deactivating")), shopGroup, closewait.ErrUnitBusy, "deactivating"},
		"it reloads":               {newFakeBus("shop.service", set("ActiveState", "reloading")), shopGroup, closewait.ErrUnitBusy, "reloading"},
		"a user's manager": {newFakeBus("user@1000.service", func(b *fakeBus) { b.units["user@1000.service"]["InvocationID"] = []byte{1} }),
			"/user.slice/user-1000.slice/user@1000.service/shop.service", closewait.ErrRefused, "manager of a user"},
		"a scope": {newFakeBus("session-1.scope", func(b *fakeBus) { b.units["session-1.scope"] = properties{"ControlGroup": "/x"} }), "/x", closewait.ErrRefused, "is no service"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			unit, err := unitsWith(test.bus).Unit(t.Context(), &fakeProcess{cgroup: test.cgroup})
			if !errors.Is(err, test.want) || !strings.Contains(fmt.Sprint(err), test.text) {
				t.Errorf("%v, %v, want %v: %s", unit, err, test.want, test.text)
			}
		})
	}
}

func TestARestartTakesAlongWhatDependsOnTheUnit(t *testing.T) {
	b := newFakeBus("shop.service", func(b *fakeBus) {
		b.units["shop.service"]["RequiredBy"] = []string{"web.service"}
		b.units["shop.service"]["ConsistsOf"] = []string{"worker.service"}
		b.units["web.service"] = properties{"BoundBy": []string{"front.service", "shop.service"}, "WantedBy": []string{"multi-user.target"}}
	})
	unit, err := unitsWith(b).Unit(t.Context(), &fakeProcess{cgroup: shopGroup})
	want := closewait.Unit{
		Name: "shop.service", Names: []string{"shop.service", "store.service"}, Invocation: "01",
		Dependents: []string{"front.service", "web.service", "worker.service"},
	}
	if diff := cmp.Diff(want, unit); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

// TestTheResultOfARestartIsReadFromTheUnit has answers that a real systemd gives only at the right
// moment.
func TestTheResultOfARestartIsReadFromTheUnit(t *testing.T) {
	type effect = func(*fakeBus, string) (string, error)
	state := func(b *fakeBus, active string, invocation byte) {
		b.units["shop.service"]["ActiveState"], b.units["shop.service"]["InvocationID"] = active, []byte{invocation}
	}
	failsThen := func(start effect) effect {
		return func(b *fakeBus, call string) (string, error) {
			if call == "start" {
				return start(b, call)
			}
			state(b, "failed", 1)
			b.units["shop.service"]["Result"] = "start-limit-hit"
			return "failed", nil
		}
	}
	refused := fmt.Errorf("%w by polkit", closewait.ErrRefused)
	tests := map[string]struct {
		job    effect
		change func(*fakeBus)
		calls  string
		want   closewait.UnitRestart // without its text
		text   string                // in the detail or the error
		err    error                 // nil: any, if text is of an error
		fails  bool
	}{
		"active, another invocation": {job: func(b *fakeBus, _ string) (string, error) { state(b, "active", 2); return "done", nil },
			calls: "reset-failed try-restart", want: closewait.UnitRestart{Begun: true}, text: "restarted"},
		"done, but nothing was done": {job: func(*fakeBus, string) (string, error) { return "done", nil },
			calls: "reset-failed try-restart", want: closewait.UnitRestart{Begun: true}, text: "was not restarted", fails: true},
		"an administrator cancels and stops it": {job: func(b *fakeBus, _ string) (string, error) { state(b, "inactive", 1); return "canceled", nil },
			calls: "reset-failed try-restart", want: closewait.UnitRestart{Begun: true}, text: "somebody has stopped", fails: true},
		"at the limit, up again": {job: failsThen(func(b *fakeBus, _ string) (string, error) { state(b, "active", 2); return "done", nil }),
			calls: "reset-failed try-restart reset-failed start", want: closewait.UnitRestart{Begun: true}, text: "at the second start"},
		"at the limit, and down": {job: failsThen(func(*fakeBus, string) (string, error) { return "failed", nil }),
			calls: "reset-failed try-restart reset-failed start", want: closewait.UnitRestart{Begun: true, Down: true}, text: "failed (start-limit-hit)"},
		"it does not come up in time": {job: func(b *fakeBus, _ string) (string, error) { state(b, "activating", 2); return "", errJobRuns },
			calls: "reset-failed try-restart", want: closewait.UnitRestart{Begun: true, Down: true}, text: "activating when its time is up"},
		"its job waits for another one until its time is up": {job: func(*fakeBus, string) (string, error) { return "", errJobRuns },
			calls: "reset-failed try-restart", want: closewait.UnitRestart{Begun: true}, text: "was not restarted before its time was up", fails: true},
		"it comes up after a failure": {job: func(b *fakeBus, _ string) (string, error) {
			state(b, "activating", 2)
			reads := 0
			b.onRead = func() {
				if reads++; reads == 10 {
					state(b, "active", 3)
				}
			}
			return "failed", nil
		}, calls: "reset-failed try-restart", want: closewait.UnitRestart{Begun: true}, text: "restarted"},
		"polkit refuses the restart": {job: func(*fakeBus, string) (string, error) { return "", refused },
			calls: "reset-failed try-restart", err: closewait.ErrRefused, text: "polkit", fails: true},
		"polkit refuses the reset": {change: func(b *fakeBus) { b.refuses = refused },
			calls: "reset-failed", err: closewait.ErrRefused, text: "start limit", fails: true},
		"it has another job now": {change: func(b *fakeBus) { b.units["shop.service"]["Job"] = []any{uint32(3), "/"} },
			err: closewait.ErrUnitBusy, fails: true},
		"it was restarted meanwhile":    {change: func(b *fakeBus) { state(b, "active", 9) }, err: closewait.ErrGone, fails: true},
		"systemd restarts it each time": {change: func(b *fakeBus) { b.units["shop.service"]["NRestarts"] = uint32(4) }, err: closewait.ErrUnitBusy, fails: true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newFakeBus("shop.service")
				b.job = func(call string) (string, error) { return test.job(b, call) }
				units, p := unitsWith(b), &fakeProcess{cgroup: shopGroup}
				unit, err := units.Unit(t.Context(), p)
				if err != nil {
					t.Fatal(err)
				}
				if test.change != nil {
					test.change(b)
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				done, err := units.Restart(ctx, p, unit)
				text := done.Detail + fmt.Sprint(err)
				done.Detail = ""
				if calls := strings.Join(b.calls, " "); done != test.want || calls != test.calls || !strings.Contains(text, test.text) {
					t.Errorf("%+v, %s, after %q, want %+v, %s, after %q", done, text, calls, test.want, test.text, test.calls)
				}
				if (err != nil) != test.fails || test.err != nil && !errors.Is(err, test.err) {
					t.Errorf("%v, want %v", err, test.err)
				}
			})
		})
	}
}

// TestAShutdownIsNoFailureOfTheUnit: it is not known then whether the unit comes up.
func TestAShutdownIsNoFailureOfTheUnit(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	b := newFakeBus("shop.service")
	b.job = func(string) (string, error) {
		b.units["shop.service"]["ActiveState"] = "deactivating"
		cancel()
		return "", errJobRuns
	}
	units, p := unitsWith(b), &fakeProcess{cgroup: shopGroup}
	unit, err := units.Unit(ctx, p)
	if err != nil {
		t.Fatal(err)
	}
	if done, err := units.Restart(ctx, p, unit); done != (closewait.UnitRestart{Begun: true}) || !errors.Is(err, context.Canceled) {
		t.Errorf("%+v, %v", done, err)
	}
	if slices.Contains(b.calls, "start") {
		t.Errorf("%v", b.calls)
	}
}

// TestARequestWithoutAnAnswerMayHaveBeenCarriedOut: only an answer proves that systemd did nothing.
func TestARequestWithoutAnAnswerMayHaveBeenCarriedOut(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		runs bool
	}{
		"no time is left":     {context.DeadlineExceeded, true},
		"the connection ends": {dbus.ErrClosed, true},
		"systemd goes away":   {dbus.Error{Name: "org.freedesktop.DBus.Error.NoReply"}, true},
		"systemd refuses":     {dbus.Error{Name: "org.freedesktop.systemd1.UnitMasked"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := await(t.Context(), func(chan<- string) (int, error) { return 0, c.err })
			if err == nil || errors.Is(err, errJobRuns) != c.runs {
				t.Errorf("%v", err)
			}
		})
	}
}
