package reapertest

import (
	"strings"
	"syscall"
	"testing"

	"closewait_exporter/internal/hosttest"
	"closewait_exporter/internal/leaktest"
)

// oneAction makes a single remediation spend the whole budget.
var oneAction = strings.Replace(preamble, "actions: 100", "actions: 1", 1)

// TestAProcessThatCannotRunTakesNothingFromOthers has processes of a user, and of a container, that
// leak and are stopped or frozen: attempts on them would be in vain.
func TestAProcessThatCannotRunTakesNothingFromOthers(t *testing.T) {
	ways := map[string]func(*testing.T, *target) (halt func()){
		"stopped by its user": func(_ *testing.T, p *target) (halt func()) {
			return func() { p.Signal(syscall.SIGSTOP) }
		},
	}
	for _, f := range freezers {
		ways["frozen with its container, "+f.name] = func(t *testing.T, p *target) (halt func()) {
			halt, _ = freezer(t, p.PID, f.mount, f.file, f.on, f.off)
			return halt
		}
	}
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			where := asUser(t, "halted")
			p := follow(t, where.Start(t, "--outbound=3"), where.Program)
			way(t, p)()
			later := startTarget(t, leaktest.Where{}, "later", "--outbound=3")
			later.Signal(syscall.SIGSTOP)
			e := enforcing(t, oneAction+rule("halted", p.exe, outbound+soft)+rule("later", later.exe, outbound+soft))
			e.awaitSeries(decisions("halted", "stopped"), 10)
			if left := e.scrape()["closewait_reaper_budget_remaining"]; left != 1 {
				t.Errorf("%v actions are left, want 1", left)
			}
			later.Signal(syscall.SIGCONT)
			e.awaitSeries(remediations("later", "terminated"), 1)
			if values := e.scrape(); values[decisions("halted", "act")] != 0 || !p.alive() {
				t.Errorf("alive is %v, %v", p.alive(), values.about(`rule="halted"}`))
			}
		})
	}
}

// TestNoContainerTakesTheCooldownOfTheHost has a container that runs the host's program under its
// name, as root, and stays after TERM.
func TestNoContainerTakesTheCooldownOfTheHost(t *testing.T) {
	join := hosttest.MakeCgroup(t, "docker/"+randomHex(64))
	where := leaktest.Where{Program: leakAs(t, "twin")}
	contained := follow(t, where.Start(t, "--outbound=3", "--ignore-sigterm"), where.Program)
	join(contained.PID)
	e := enforcing(t, preamble+rule("twin", where.Program, outbound+"steps: [signal: {name: TERM, wait: 300ms}]\n"))
	e.awaitSeries(decisions("twin", "cooldown"), 1)
	own := follow(t, where.Start(t, "--outbound=3"), where.Program)
	e.awaitSeries(remediations("twin", "terminated"), 1)
	if own.alive() || !contained.alive() {
		t.Error("the wrong process has ended")
	}
}

// TestClientsThatMakeAGuardDenySpendNothing: clients can bring servers to the guard of their rule
// again and again. Neither the budget nor the breaker may suffer when it denies.
func TestClientsThatMakeAGuardDenySpendNothing(t *testing.T) {
	exes, servers := "", []*target(nil)
	for _, name := range []string{"longpoll-a", "longpoll-b"} { // three at once would be an incident
		p := startTarget(t, leaktest.Where{}, name, "--sockets=3")
		servers, exes = append(servers, p), exes+"|"+p.exe
	}
	denied := strings.Replace(guarded("exit 1")(t, nil), ", direction: "+opened(), "", 1)
	text := "  - name: longpoll\n    mode: enforce\n    match: {exe: '" + exes[1:] + "'}\n    " + strings.ReplaceAll(strings.TrimSpace(denied), "\n", "\n    ") + "\n" + anyEnd
	later := leakAs(t, "later")
	e := enforcing(t, oneAction+text+rule("later", later, outbound+soft))
	e.awaitSeries(decisions("longpoll", "guard_denied"), 8)
	leaktest.Where{Program: later}.Start(t, "--outbound=3")
	e.awaitSeries(remediations("later", "terminated"), 1)
	if values := e.scrape(); values[suspended("breaker")] != 0 || values[decisions("longpoll", "suspended")] != 0 || ended(servers) != 0 {
		t.Errorf("%d servers have ended: %v", ended(servers), values.about(`rule="longpoll"}`))
	}
}
