package systemd

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"

	"closewait_exporter/closewait"
)

// fakeBus is a service manager with the properties of a few units.
type fakeBus struct {
	units   map[string]properties
	unitOf  string // of every process
	pidfds  bool   // it has GetUnitByPIDFD
	asked   []string
	onAsk   func()
	onRead  func() // before properties are read
	badProp error
	calls   []string
	job     func(call string) (string, error) // its effect and its result
	refuses error                             // the error of resetFailed
}

func (b *fakeBus) run(ctx context.Context, call string) (string, error) {
	b.calls = append(b.calls, call)
	result, err := b.job(call)
	if errors.Is(err, errJobRuns) {
		<-ctx.Done()
	}
	return result, err
}

func (b *fakeBus) tryRestart(ctx context.Context, _ string) (string, error) {
	return b.run(ctx, "try-restart")
}

func (b *fakeBus) start(ctx context.Context, _ string) (string, error) { return b.run(ctx, "start") }

func (b *fakeBus) resetFailed(context.Context, string) error {
	b.calls = append(b.calls, "reset-failed")
	return b.refuses
}

func (b *fakeBus) unitByPIDFD(context.Context, int) (string, error) {
	if !b.pidfds {
		return "", errNotImplemented
	}
	b.asked = append(b.asked, "pidfd")
	return b.unitOf, nil
}

func (b *fakeBus) unitByPID(context.Context, int) (string, error) {
	b.asked = append(b.asked, "pid")
	if b.onAsk != nil {
		b.onAsk()
	}
	return b.unitOf, nil
}

func (b *fakeBus) properties(_ context.Context, unit string) (properties, error) {
	if b.onRead != nil {
		b.onRead()
	}
	if p := b.units[unit]; p != nil {
		return maps.Clone(p), b.badProp
	}
	return properties{"Id": unit, "LoadState": "not-found", "ActiveState": "inactive"}, b.badProp
}

func (b *fakeBus) connected() bool { return true }

func (b *fakeBus) close() {}

// fakeProcess is an open process.
type fakeProcess struct {
	cgroup string
	exited bool
}

func (p *fakeProcess) ID() closewait.ProcessID           { return closewait.ProcessID{PID: 100, Start: 1} }
func (p *fakeProcess) Exited() (bool, error)             { return p.exited, nil }
func (p *fakeProcess) WithPidfd(f func(int) error) error { return f(7) }
func (p *fakeProcess) Cgroup() (string, error)           { return p.cgroup, nil }
func unitsWith(b *fakeBus) *Units {
	return &Units{dial: func(context.Context) (bus, error) { return b, nil }}
}
func newFakeBus(unit string, change ...func(*fakeBus)) *fakeBus {
	b := &fakeBus{unitOf: unit, units: map[string]properties{
		"shop.service": {
			"Id": "shop.service", "LoadState": "loaded", "ActiveState": "active", "ControlGroup": "/system.slice/shop.service", "MainPID": uint32(100),
			"Names": []string{"shop.service", "store.service"}, "InvocationID": []byte{1}, "NRestarts": uint32(0), "Job": []any{uint32(0), "/"},
			"Type": "exec", "Restart": "always", "SuccessExitStatus": []any{[]int32{}, []int32{}},
			"RestartPreventExitStatus": []any{[]int32{3}, []int32{}}, "RestartForceExitStatus": []any{[]int32{}, []int32{9}},
		},
		"user@1000.service": {
			"Id": "user@1000.service", "LoadState": "loaded", "ActiveState": "active", "ControlGroup": "/user.slice/user-1000.slice/user@1000.service",
			"MainPID": uint32(50), "Restart": "no",
		},
		"shop.socket": {"Id": "shop.socket", "ActiveState": "active"},
		"old.socket":  {"Id": "old.socket", "ActiveState": "inactive"},
	}}
	for _, f := range change {
		f(b)
	}
	return b
}

func TestTheUnitOfAProcessIsWhatSystemdSays(t *testing.T) {
	const group = "/system.slice/shop.service"
	triggered := func(by ...string) func(*fakeBus) {
		return func(b *fakeBus) {
			b.units["shop.service"]["Restart"], b.units["shop.service"]["TriggeredBy"] = "no", by
		}
	}
	tests := map[string]struct {
		process fakeProcess
		bus     *fakeBus
		by      closewait.Supervisor
		err     string
	}{
		"the main process":                        {fakeProcess{cgroup: group}, newFakeBus("shop.service"), closewait.BySystemd, ""},
		"in a group below":                        {fakeProcess{cgroup: group + "/main"}, newFakeBus("shop.service"), closewait.BySystemd, ""},
		"a group that begins like it":             {fakeProcess{cgroup: group + "x"}, newFakeBus("shop.service"), "", "is not below"},
		"a group that a user has named like it":   {fakeProcess{cgroup: "/user.slice/user-1000.slice/user@1000.service/shop.service"}, newFakeBus("user@1000.service"), closewait.NoSupervisor, ""},
		"another group than the one of the unit":  {fakeProcess{cgroup: "/user.slice/x"}, newFakeBus("shop.service"), "", "is not below"},
		"a process that has ended":                {fakeProcess{cgroup: group, exited: true}, newFakeBus("shop.service"), "", closewait.ErrGone.Error()},
		"a scope":                                 {fakeProcess{cgroup: "/x"}, newFakeBus("session-1.scope", func(b *fakeBus) { b.units["session-1.scope"] = properties{"ControlGroup": "/x"} }), "", "is no service"},
		"a socket that starts it":                 {fakeProcess{cgroup: group}, newFakeBus("shop.service", triggered("shop.socket", "shop.timer")), closewait.BySocket, ""},
		"a timer and a socket that do not listen": {fakeProcess{cgroup: group}, newFakeBus("shop.service", triggered("shop.timer", "old.socket")), closewait.BySystemd, ""},
		"no answer":                               {fakeProcess{cgroup: group}, newFakeBus("shop.service", func(b *fakeBus) { b.badProp = errors.New("no reply") }), "", "no reply"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s, err := unitsWith(test.bus).Supervision(t.Context(), &test.process)
			if s.By != test.by || fmt.Sprint(err) == "<nil>" != (test.err == "") || err != nil && !strings.Contains(err.Error(), test.err) {
				t.Errorf("%s (%s), %v, want %s, %q", s.By, s.Text, err, test.by, test.err)
			}
		})
	}
}

func TestAPidfdIsPreferredToAPid(t *testing.T) {
	for pidfds, want := range map[bool]string{true: "pidfd", false: "pid"} {
		b := newFakeBus("shop.service", func(b *fakeBus) { b.pidfds = pidfds })
		_, err := unitsWith(b).Supervision(t.Context(), &fakeProcess{cgroup: "/system.slice/shop.service"})
		if err != nil || len(b.asked) != 1 || b.asked[0] != want {
			t.Errorf("%v, %v, want %s", b.asked, err, want)
		}
	}
}

func TestAProcessThatMovesHasNoUnit(t *testing.T) {
	p := &fakeProcess{cgroup: "/system.slice/shop.service"}
	b := newFakeBus("shop.service", func(b *fakeBus) { b.onAsk = func() { p.cgroup += "/elsewhere" } })
	if s, err := unitsWith(b).Supervision(t.Context(), p); err == nil || !strings.Contains(err.Error(), "moved") {
		t.Errorf("%v, %v", s, err)
	}
}

func TestAServiceIsAskedAboutByName(t *testing.T) {
	stopped := newFakeBus("", func(b *fakeBus) {
		b.units["shop.service"]["ActiveState"], b.units["shop.service"]["MainPID"] = "inactive", uint32(0)
	})
	s, err := unitsWith(stopped).SupervisionOfUnit(t.Context(), "shop.service")
	if err != nil || s.WhyDown("KILL") != "" || !strings.Contains(s.WhyDown("TERM"), "RestartPreventExitStatus") {
		t.Errorf("%v %v", s, err)
	}
	if _, err := unitsWith(stopped).SupervisionOfUnit(t.Context(), "none.service"); !errors.Is(err, ErrNoUnit) {
		t.Errorf("%v, want %v", err, ErrNoUnit)
	}
}
