package page

import (
	"strings"
	"testing"
	"time"

	"closewait_exporter/reaper/status"

	"golang.org/x/net/html/atom"
)

// entries returns the texts of the decisions and actions, from the top.
func entries(d *document) []string {
	var all []string
	for _, list := range d.all(atom.Ol, "entries") {
		for _, item := range (&document{Node: list}).all(atom.Li, "") {
			all = append(all, text(item))
		}
	}
	return all
}

func TestThePageShowsWhatTheReaperDecidedAndWhy(t *testing.T) {
	d := get(t, pageOf(shop(), nil, dryRunReaper), "/")
	d.want(t, "Reaper dry run", "decisions are only reported, no action is taken", "Actions it would have taken", "Actions left 2 of 3 per 10m00s",
		"Last round 09:41:05 UTC", "java-leak (dry_run, 1 matching), billing-pool (dry_run, 1 matching)")
	want := []string{
		"09:37:07 UTC for 3m58s, ongoing dry run cooldown java 4211 of shop.service by rule java-leak 5m58s left, 0 relapses",
		"09:37:02 UTC dry_run java 4211 of shop.service by rule java-leak evidence: 790 of 812 sockets are evidence",
		"09:01:07 UTC for 39m58s, ongoing dry run enough_fds gunicorn: worke 31822 of billing-api.service by rule billing-pool 402 of 1024 descriptors open, 80% required",
		"09:37:02 UTC dry run signal KILL java 4211 of shop.service by rule java-leak",
		"09:37:02 UTC dry run signal TERM java 4211 of shop.service by rule java-leak",
	}
	got := entries(d)
	if len(got) != len(want) {
		t.Fatalf("%d entries: %q", len(got), got)
	}
	for i := range want {
		if !strings.HasPrefix(got[i], want[i]) {
			t.Errorf("entry %d is\n%s\nwant\n%s", i, got[i], want[i])
		}
	}
}

func TestThePageShowsEnforceAndWhatSuspendsActions(t *testing.T) {
	enforcing := func() status.Status {
		yesterday := now.Add(-24 * time.Hour)
		return status.Status{
			Enforcing: true, Omitted: 12, Suspended: []string{"another reaper acts on this host"},
			Decisions: []status.Entry{{Since: yesterday, Until: yesterday.Add(time.Minute), Rule: "java-leak", Mode: "enforce", What: "suspended", Why: "it is held by pid 7"}, {Since: now, Until: now, Current: true, Mode: "enforce", What: "low_coverage"}},
		}
	}
	d := get(t, pageOf(shop(), nil, enforcing), "/")
	d.want(t, "Reaper enforce", "Rules in mode enforce act.", "Actions", "another reaper acts on this host", "Last round none yet",
		"the rules file was invalid at the last reload", "12 more decisions of the last round are not shown",
		"2026-11-20 09:41:07 UTC for 1m00s suspended all processes by rule java-leak it is held by pid 7",
		"low_coverage all processes by all rules", "None yet.")
}

func TestAReaperThatIsOffSaysHowToTryIt(t *testing.T) {
	d := get(t, pageOf(shop(), nil, nil), "/")
	d.want(t, "Reaper off", "The reaper is off: leaks are reported, and no action is taken.", "--reaper.config=rules.yml", "stay in dry run unless --reaper.enforce")
	if got := entries(d); len(got) > 0 {
		t.Errorf("entries: %q", got)
	}
}
