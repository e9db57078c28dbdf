package systemd

import (
	"fmt"
	"strings"
	"syscall"
	"testing"

	"closewait_exporter/closewait"
)

// exits are the kinds of exit in the table of Restart= in systemd.service(5), as far as the end of
// the main process can be one of them.
var exits = map[string][]outcome{
	"clean exit":         {{exited, 0}},
	"unclean exit":       {{exited, 1}, {exited, 143}, {exited, 255}},
	"clean signal":       {{killed, 1}, {killed, 2}, {killed, 13}, {killed, 15}},
	"unclean signal":     {{killed, 3}, {killed, 6}, {killed, 9}, {killed, 10}, {killed, 11}, {killed, 12}},
	"dump of any signal": {{dumped, 3}, {dumped, 6}, {dumped, 11}, {dumped, 15}},
}

// restartTable is that table: after which exits each value of Restart= starts the service again.
var restartTable = map[string]string{
	"no":          "",
	"always":      "clean exit, unclean exit, clean signal, unclean signal, dump of any signal",
	"on-success":  "clean exit, clean signal",
	"on-failure":  "unclean exit, unclean signal, dump of any signal",
	"on-abnormal": "unclean signal, dump of any signal",
	"on-abort":    "unclean signal, dump of any signal",
	"on-watchdog": "",
}

func TestEveryValueOfRestartActsAsTheManualSays(t *testing.T) {
	for restart, table := range restartTable {
		for exit, list := range exits {
			for _, o := range list {
				s := service{name: "shop.service", kind: "exec", exitType: "main", restart: restart}
				if got, want := s.restarts(o), strings.Contains(", "+table+",", ", "+exit+","); got != want {
					t.Errorf("Restart=%s after %s %d: %v, want %v", restart, exit, o.status, got, want)
				}
			}
		}
	}
}

// TestExceptionsComeBeforeRestart has the settings that change the table.
func TestExceptionsComeBeforeRestart(t *testing.T) {
	exit1, exit0, kill, term, abort := outcome{exited, 1}, outcome{exited, 0}, outcome{killed, 9}, outcome{killed, 15}, outcome{dumped, 6}
	type set = statusSet
	tests := map[string]struct {
		service
		restarted, not []outcome
	}{
		"a prevented status":              {service{restart: "always", prevent: set{statuses: []int32{1}}}, []outcome{exit0, kill, term}, []outcome{exit1}},
		"a prevented signal":              {service{restart: "always", prevent: set{signals: []int32{9}}}, []outcome{exit0, exit1, term}, []outcome{kill}},
		"a signal is no status":           {service{restart: "always", prevent: set{statuses: []int32{9, 15}}}, []outcome{kill, term}, nil},
		"a forced status":                 {service{restart: "no", force: set{statuses: []int32{0}}}, []outcome{exit0}, []outcome{exit1, kill, term}},
		"a forced signal":                 {service{restart: "on-success", force: set{signals: []int32{9}}}, []outcome{kill, exit0}, []outcome{exit1}},
		"prevented wins over forced":      {service{restart: "no", force: set{statuses: []int32{1}}, prevent: set{statuses: []int32{1}}}, nil, []outcome{exit1}},
		"another successful status":       {service{restart: "on-failure", success: set{statuses: []int32{1}}}, []outcome{kill}, []outcome{exit0, exit1, term}},
		"another successful signal":       {service{restart: "on-failure", success: set{signals: []int32{9, 6}}}, []outcome{exit1, abort}, []outcome{kill, exit0}},
		"TERM of a oneshot is no success": {service{restart: "on-failure", kind: oneshot}, []outcome{term, exit1}, []outcome{exit0}},
		"active after a clean exit":       {service{restart: "always", remainAfterExit: true}, []outcome{exit1, kill}, []outcome{exit0, term}},
		"active whatever is forced":       {service{restart: "no", remainAfterExit: true, force: set{statuses: []int32{0}}}, nil, []outcome{exit0}},
		"as long as any process lives":    {service{restart: "always", exitType: "cgroup"}, nil, []outcome{exit0, exit1, kill, term, abort}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			for _, o := range test.restarted {
				if !test.restarts(o) {
					t.Errorf("not restarted after %v %d", o.ending, o.status)
				}
			}
			for _, o := range test.not {
				if test.restarts(o) {
					t.Errorf("restarted after %v %d", o.ending, o.status)
				}
			}
		})
	}
}

// TestWhoStartsAProcessAgainAfterASignal has each value of Restart=, each kind of signal, the main
// process and a worker, and a service with a socket: what is not sure counts as not restarted.
func TestWhoStartsAProcessAgainAfterASignal(t *testing.T) {
	// After TERM a program can exit with any status, so only always is sure; KILL cannot be handled.
	afterTERM := map[string]bool{"always": true}
	afterKILL := map[string]bool{"always": true, "on-failure": true, "on-abnormal": true, "on-abort": true}
	const main, worker = 100, 101
	for restart := range restartTable {
		for _, sockets := range [][]string{nil, {"shop.socket"}} {
			for signal := range signals {
				s := service{name: "shop.service", mainPID: main, active: true, kind: "exec", exitType: "main", restart: restart, sockets: sockets}
				name := fmt.Sprintf("Restart=%s, %d sockets, %s", restart, len(sockets), signal)
				want := afterTERM[restart] || signal == "KILL" && afterKILL[restart] || sockets != nil
				of := s.supervision(main)
				if why := of.WhyDown(signal); (why == "") != want {
					t.Errorf("%s: %q, want restarted: %v", name, why, want)
				}
				if of.By == closewait.NoSupervisor && want {
					t.Errorf("%s: %s", name, of.Text)
				}
				if of := s.supervision(worker); of.By != closewait.NoSupervisor || of.WhyDown(signal) == "" {
					t.Errorf("%s: a worker is started again by %s", name, of.By)
				}
			}
		}
	}
}

func TestWhatSystemdDoesNotStartAgain(t *testing.T) {
	always := service{name: "shop.service", mainPID: 100, active: true, state: "active", restart: "always", exitType: "main"}
	tests := map[string]struct {
		change func(*service)
		signal string
		want   string // in the reason; empty: it is started again
	}{
		"nothing":                          {func(*service) {}, "TERM", ""},
		"a service without a main process": {func(s *service) { s.mainPID = 0 }, "KILL", "no main process"},
		"a service that is being stopped":  {func(s *service) { s.active, s.state = false, "deactivating" }, "KILL", "deactivating"},
		"a status that TERM can lead to":   {func(s *service) { s.prevent.statuses = []int32{255} }, "TERM", "RestartPreventExitStatus"},
		"which KILL cannot lead to":        {func(s *service) { s.prevent.statuses = []int32{255} }, "KILL", ""},
		"every status forced":              {func(s *service) { s.restart, s.force = "no", anyStatus() }, "TERM", ""},
		"RemainAfterExit=":                 {func(s *service) { s.remainAfterExit = true }, "TERM", "RemainAfterExit"},
		"and KILL":                         {func(s *service) { s.remainAfterExit = true }, "KILL", ""},
		"with a socket too":                {func(s *service) { s.remainAfterExit, s.sockets = true, []string{"shop.socket"} }, "TERM", "RemainAfterExit"},
		"ExitType=cgroup":                  {func(s *service) { s.exitType = "cgroup" }, "KILL", "ExitType=cgroup"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := always
			test.change(&s)
			of := s.supervision(100)
			if why := of.WhyDown(test.signal); test.want == "" && why != "" || !strings.Contains(why, test.want) {
				t.Errorf("%q, want %q", why, test.want)
			}
		})
	}
}

// anyStatus has all statuses, and TERM with and without a core dump.
func anyStatus() (all statusSet) {
	for status := range int32(maxStatus + 1) {
		all.statuses = append(all.statuses, status)
	}
	all.signals = []int32{int32(syscall.SIGTERM)}
	return all
}
