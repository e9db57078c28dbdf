package rules

import (
	"strings"
	"testing"
	"time"
)

// braked is the smallest rules file with a brake.
const braked = "fleet:\n  brake: {url: http://127.0.0.1:9090, query: 'sum(closewait_reaper_candidates{rule=\"$rule\"})', below: 5}\n" + smallest

func TestABrakeHasDefaults(t *testing.T) {
	config, err := Parse("rules.yml", []byte(braked))
	if err != nil {
		t.Fatal(err)
	}
	b := config.Fleet.Brake
	if b.URL != "http://127.0.0.1:9090" || b.Below != 5 || b.Settle != 2*time.Minute || b.Timeout != 5*time.Second || !b.HTTP.FollowRedirects {
		t.Errorf("%+v", b)
	}
	if got := b.Query.For("leak", "web.service"); got != `sum(closewait_reaper_candidates{rule="leak"})` {
		t.Error(got)
	}
	if config, err = Parse("rules.yml", []byte(smallest)); err != nil || config.Fleet.Brake != nil {
		t.Errorf("a brake without the section: %+v, %v", config, err)
	}
}

func TestTheFilesOfABrakeAreRelativeToTheRules(t *testing.T) {
	text := strings.Replace(braked, "below: 5", "below: 5, http_config: {authorization: {credentials_file: token}, tls_config: {ca_file: /ca.pem}}", 1)
	config, err := Parse("/etc/closewait/rules.yml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	h := config.Fleet.Brake.HTTP
	if got := h.Authorization.CredentialsFile + " " + h.TLSConfig.CAFile; got != "/etc/closewait/token /ca.pem" {
		t.Error(got)
	}
}

func TestParseRefusesABrake(t *testing.T) {
	const brake = "{url: http://127.0.0.1:9090, query: up, below: 5}"
	refuse := func(replace, by, want string) refusal {
		return refusal{"rules:", "fleet:\n  brake: " + strings.Replace(brake, replace, by, 1) + "\nrules:", want}
	}
	checkRefusals(t, map[string]refusal{
		"with nothing in it": {"rules:", "fleet:\n  brake: {}\nrules:",
			"rules.yml:2: fleet.brake.url: is missing: give the address of Prometheus, such as http://127.0.0.1:9090\n" +
				`rules.yml:2: fleet.brake.query: is missing: give a query that counts candidates, such as 'sum(closewait_reaper_candidates{mode="enforce",rule="$rule"})'` + "\n" +
				"rules.yml:2: fleet.brake.below: is missing: say below which result of the query a rule may act, such as 5"},
		"with an unknown key": refuse("below", "limit: 1, below",
			`rules.yml:2: fleet.brake: unknown key "limit": known here are url, query, below, settle, timeout, http_config`),
		"with an address without a host": refuse("http://127.0.0.1:9090", "prometheus:9090",
			"rules.yml:2: fleet.brake.url: is not the address of a server: write such as http://127.0.0.1:9090"),
		"with a password in the address": refuse("http://127.0.0.1:9090", "http://a:b@prometheus",
			"rules.yml:2: fleet.brake.url: has a user or a password: write basic_auth below http_config"),
		"with a query in the address": refuse("http://127.0.0.1:9090", `"http://prometheus/?a"`,
			`rules.yml:2: fleet.brake.url: "http://prometheus/?a" has a query: write the address only`),
		"without a query": refuse("up", "' '",
			"rules.yml:2: fleet.brake.query: is empty: write a PromQL expression"),
		"with a limit of 0": refuse("below: 5", "below: 0",
			`rules.yml:2: fleet.brake.below: "0" is not a number above 0: write such as 5`),
		"with a limit that is not a number": refuse("below: 5", "below: nan",
			`rules.yml:2: fleet.brake.below: "nan" is not a number above 0: write such as 5`),
		"with no time to settle": refuse("below: 5", "below: 5, settle: 0s",
			"rules.yml:2: fleet.brake.settle: 0s is no time at all: write more, such as 10s"),
		"with a long timeout": refuse("below: 5", "below: 5, timeout: 2m",
			"rules.yml:2: fleet.brake.timeout: 2m0s is too long, because the host changes meanwhile: write 1m0s or less"),
		"with unknown settings of HTTP": refuse("below: 5", "below: 5, http_config: {password: x}",
			"rules.yml:2: fleet.brake.http_config: field password not found in type config.plain"),
		"with settings of HTTP that contradict each other": refuse("below: 5", "below: 5, http_config: {bearer_token: a, bearer_token_file: b}",
			"rules.yml:2: fleet.brake.http_config: at most one of bearer_token & bearer_token_file must be configured"),
	})
}

func TestParseWarnsAboutAShortTimeToSettle(t *testing.T) {
	answer, err := check(t, strings.Replace(braked, "below: 5", "below: 5, settle: 30s", 1), 0o644)
	if want := "warning: fleet.brake.settle: is shorter than two scrapes"; err != nil || !strings.Contains(answer, want) {
		t.Errorf("%v, want %q in\n%s", err, want, answer)
	}
}

func TestPlaceholdersStandOnlyWhereTheyAreOneText(t *testing.T) {
	for _, text := range []string{
		`a{rule="$rule"}`, `a{rule='$rule',group!="$group"}`, `a{b="\"$rule"}`, "a # it's\n{rule=\"$rule\"}", `a{exe=~"/x.*"}`, "a{b=~`\\d`}",
	} {
		if _, err := ParseQuery(text); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
	for text, want := range map[string]string{
		`$rule`:                   "inside quotes",
		`a{b="c"} + $group`:       "inside quotes",
		`a{b="\"} $group{"}$rule`: "inside quotes",
		`a{rule=~"$rule"}`:        "= or !=",
		`a{rule !~ '$group'}`:     "= or !=",
		"a{rule=`$rule`}":         "cannot be escaped",
		`a{b="$rule}`:             "is not closed",
	} {
		if _, err := ParseQuery(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

func TestAGroupCannotChangeTheQuery(t *testing.T) {
	q, err := ParseQuery(`a{rule="$rule",group="$group"}`)
	if err != nil {
		t.Fatal(err)
	}
	for group, want := range map[string]string{
		`web@1.service`:     `web@1.service`,
		`"} or vector(0) #`: `\x22\x7d\x20or\x20vector\x280\x29\x20\x23`,
		`a'b\`:              `a\x27b\x5c`,
		"a\nb\xff$rule":     `a\x0ab\xff\x24rule`,
		"ä":                 `\U000000e4`,
	} {
		if got := q.For("leak", group); got != `a{rule="leak",group="`+want+`"}` {
			t.Errorf("%q: %s", group, got)
		}
	}
}

func TestParseRefusesSlots(t *testing.T) {
	refuse := func(slots, want string) refusal {
		return refusal{"rules:", "fleet:\n  slots: " + slots + "\nrules:", want}
	}
	checkRefusals(t, map[string]refusal{
		"with nothing in it": refuse("{}",
			"rules.yml:2: fleet.slots.namespace: is missing: give the namespace of the Leases, such as closewait\n"+
				"rules.yml:2: fleet.slots.count: is missing: say on how many hosts each rule may act at the same time, such as 1"),
		"with an unknown key": refuse("{namespace: a, count: 1, ttl: 5m}",
			`rules.yml:2: fleet.slots: unknown key "ttl": known here are namespace, count, hold`),
		"in no namespace": refuse("{namespace: A_b, count: 1}",
			`rules.yml:2: fleet.slots.namespace: "A_b" is no name of a namespace: write such as closewait`),
		"that do not exist": refuse("{namespace: a, count: 0}",
			"rules.yml:2: fleet.slots.count: 0 is not between 1 and 100: a host asks for the slots one by one"),
		"that are too many": refuse("{namespace: a, count: 101}",
			"rules.yml:2: fleet.slots.count: 101 is not between 1 and 100: a host asks for the slots one by one"),
		"with a fraction of a second": refuse("{namespace: a, count: 1, hold: 100500ms}",
			"rules.yml:2: fleet.slots.hold: 1m40.5s has a fraction of a second: write whole seconds"),
		"that end before the steps": {smallest, strings.Replace(smallest, "- destroy: {}", "- run: {command: [/bin/a], timeout: 3m}\n      - signal: {name: TERM, wait: 2m}", 1) +
			"fleet: {slots: {namespace: a, count: 1, hold: 6m}}\n",
			"rules.yml:8: fleet.slots.hold: 6m0s is less than the steps of rule web can take: write 6m5s or more"},
		"that end before a service is up": {smallest, strings.Replace(smallest, "{age: 60s}\n    steps:\n      - destroy: {}", "{age: 60s, fds: 80%}\n    steps:\n      - evidence: {}\n      - restart_unit: {timeout: 3m}", 1) +
			"fleet: {slots: {namespace: a, count: 1, hold: 4m}}\n",
			"rules.yml:8: fleet.slots.hold: 4m0s is less than the steps of rule web can take: write 4m20s or more"},
		"for a rule whose name no Lease can have": {smallest, strings.Replace(smallest, "name: web", "name: Web_1", 1) + "fleet: {slots: {namespace: a, count: 1}}\n",
			"rules.yml:7: fleet.slots: rule Web_1: its name is part of the names of Leases: rename it to lowercase letters, digits, dashes and dots"},
	})
}

func TestParseRefusesAnEviction(t *testing.T) {
	refuse := func(options, want string) refusal {
		return refusal{"{age: 60s}\n    steps:\n      - destroy: {}", "{age: 60s, fds: 80%}\n    steps:\n      - evict: " + options, want}
	}
	checkRefusals(t, map[string]refusal{
		"from no namespace": refuse("{}",
			"rules.yml:6: rule web: step 1 (evict): namespaces: is missing: list the namespaces whose pods may be evicted, such as [shop]"),
		"from a namespace that cannot exist": refuse("{namespaces: [Shop]}",
			`rules.yml:6: rule web: step 1 (evict): namespaces: "Shop" is no name of a namespace: write such as shop`),
		"of more than there is": refuse("{namespaces: [shop], allow: [all]}",
			`rules.yml:6: rule web: step 1 (evict): allow: "all" is not known: write one of bare, job, emptydir, no_pdb`),
		"with an unknown key": refuse("{namespaces: [shop], force: true}",
			`rules.yml:6: rule web: step 1 (evict): unknown key "force": known here are namespaces, wait, allow`),
		"that any client can trigger": {"- destroy: {}", "- evict: {namespaces: [shop]}",
			"rules.yml:6: rule web: step 1 (evict): evict can end the process because of its sockets alone, and any peer can put sockets into CLOSE_WAIT on purpose, outbound ones too: " +
				"add when.fds, such as fds: 80%, or a run step before this one, or accept_remote_trigger: true"},
	})
}
