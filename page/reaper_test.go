package page

import (
	"strings"
	"testing"
	"time"

	"closewait_exporter/reaper/status"

	"golang.org/x/net/html/atom"
)

// notes are what the page says of decisions and deeds, from the top.
func notes(d *document) []string {
	var all []string
	for _, list := range d.all(atom.Ol, "notes") {
		for _, item := range (&document{Node: list}).all(atom.Li, "") {
			all = append(all, text(item))
		}
	}
	return all
}

func TestThePageShowsWhatTheReaperDecidedAndWhy(t *testing.T) {
	d := get(t, pageOf(shop(), nil, trial), "/")
	d.want(t, "Reaper dry run", "it says what it would do, and does nothing", "What it would have done", "Actions left 2 of 3 per 10m00s",
		"Last round 09:41:05 UTC", "java-leak (dry_run, matches 1), billing-pool (dry_run, matches 1)")
	want := []string{
		"09:37:07 UTC for 3m58s, and still dry run cooldown java 4211 of shop.service by rule java-leak cooldown for another 5m58s after 0 relapses",
		"09:37:02 UTC dry_run java 4211 of shop.service by rule java-leak 790 of 812 sockets are evidence",
		"09:01:07 UTC for 39m58s, and still dry run enough_fds gunicorn: worke 31822 of billing-api.service by rule billing-pool 402 of 1024 descriptors are open, 80% are wanted",
		"09:37:02 UTC dry run killed java 4211 of shop.service by rule java-leak ended after KILL",
		"09:37:02 UTC dry run signal KILL java 4211 of shop.service by rule java-leak",
		"09:37:02 UTC dry run signal TERM java 4211 of shop.service by rule java-leak",
	}
	got := notes(d)
	if len(got) != len(want) {
		t.Fatalf("%d notes: %q", len(got), got)
	}
	for i := range want {
		if !strings.HasPrefix(got[i], want[i]) {
			t.Errorf("note %d is\n%s\nwant\n%s", i, got[i], want[i])
		}
	}
}

func TestThePageTellsEnforceAndWhatKeepsRulesFromActing(t *testing.T) {
	enforcing := func() status.Status {
		yesterday := now.Add(-24 * time.Hour)
		return status.Status{
			Enforcing: true, Omitted: 12, Suspended: []string{"another reaper acts on this host"},
			Decisions: []status.Entry{{Since: yesterday, Until: yesterday.Add(time.Minute), Rule: "java-leak", Mode: "enforce", What: "suspended", Why: "it is held by pid 7"}, {Since: now, Until: now, Current: true, Mode: "enforce", What: "low_coverage"}},
		}
	}
	d := get(t, pageOf(shop(), nil, enforcing), "/")
	d.want(t, "Reaper enforce", "It acts by the rules that say enforce", "What it did", "another reaper acts on this host", "Last round none yet",
		"the rules file was not valid when it was last read", "12 more decisions of the last round are not shown",
		"2026-11-20 09:41:07 UTC for 1m00s suspended all processes by rule java-leak it is held by pid 7",
		"low_coverage all processes by every rule", "Nothing yet.")
}

func TestAReaperThatIsOffSaysHowToTryIt(t *testing.T) {
	d := get(t, pageOf(shop(), nil, nil), "/")
	d.want(t, "Reaper off", "The reaper is off: nothing is done about leaks.", "--reaper.config=rules.yml", "it stays in dry run until you say otherwise")
	if got := notes(d); len(got) > 0 {
		t.Errorf("notes: %q", got)
	}
}
