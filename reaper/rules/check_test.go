package rules

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"closewait_exporter/closewait"
)

// check runs Check on a file of that text and mode. FILE stands for its name in the answer.
func check(t *testing.T, text string, mode os.FileMode) (string, error) {
	t.Helper()
	return checkOn(t, capable, text, mode)
}

func checkOn(t *testing.T, h Host, text string, mode os.FileMode) (string, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "rules.yml")
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil { // the umask took some
		t.Fatal(err)
	}
	var out bytes.Buffer
	err := Check(path, h, &out)
	if err != nil {
		err = errors.New(strings.ReplaceAll(err.Error(), path, "FILE"))
	}
	return strings.ReplaceAll(out.String(), path, "FILE"), err
}

// capable is a host that has everything.
var capable = Host{
	Trusted: func(string) error { return nil },
	CanRun:  func([]string) error { return nil },
	HasUser: func(string) bool { return true },
	Supervision: func(string) (closewait.Supervision, error) {
		return closewait.Supervision{By: closewait.BySystemd}, nil
	},
}

func TestCheckSaysWhatTheRulesComeTo(t *testing.T) {
	two := smallest + `  - name: client
    mode: enforce
    match: {exe: /bin/client}
    when: {age: 1h, for: 1m, direction: outbound, fds: 55.5%, time_left: 90m, sockets: 7, states: [closed]}
    window: {from: "22:30", to: 05:00, zone: UTC}
    steps:
      - thread_dump: {}
      - signal: {name: TERM}
    cooldown: 1d
`
	got, err := check(t, two, 0o644)
	want := `FILE: valid: 2 rules (web dry_run, client enforce)
  every 5s, at most 3 actions per 10m0s
  web: {sockets: 2, age: 1m0s, for: 0s, direction: any}, then destroy; cooldown 10m0s
  client: {sockets: 7, age: 1h0m0s, for: 1m0s, direction: outbound, fds: 55.5%, time_left: 1h30m0s, states: [closed]}, then thread_dump, signal TERM; cooldown 24h0m0s; window 22:30 to 05:00 (UTC)
FILE:8: warning: rule client: mode: enforce acts only if the exporter runs with --reaper.enforce
`
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

func TestCheckWarnsOfWhatIsPerhapsNotMeant(t *testing.T) {
	const low = "FILE:4: warning: rule web: when.fds: a busy server reaches %s without a leak, so clients could trigger the rule: write 80%% or more\n"
	const neverGo = "FILE:4: warning: rule web: when.age: the rule can never match a Go program: after 60 to 75 seconds a keepalive closes its leaked sockets, and age and for need %s: add fds, and closed to states, unless match covers no Go program\n"
	cases := map[string]struct{ replace, by, want string }{
		"nothing":                   {"", "", ""},
		"a rule for every process":  {"exe: /bin/web", "exe: .*, user: .+", "FILE:3: warning: rule web: match: selects every process of the host that has these properties\n"},
		"a rule for every service":  {"exe: /bin/web", "exe: .*, unit: web.*", ""},
		"a shared peer of outbound": {"age: 60s", "age: 60s, direction: outbound, peer_share: 25%", "FILE:4: warning: rule web: when.peer_share: has no effect: it is about inbound sockets, and direction is outbound\n"},
		"trusted peers for nothing": {"rules:", "trusted_peers: [10.0.0.0/8]\nrules:", "FILE:1: warning: trusted_peers: has no effect: no rule has when.peer_share\n"},
		"trusted peers that are everybody": {smallest, "trusted_peers:\n  - 10.0.0.0/8\n  - 0.0.0.0/0\n" + strings.Replace(smallest, "60s", "60s, peer_share: 25%", 1),
			"FILE:3: warning: trusted_peers: 0.0.0.0/0 contains every address of its family, so when.peer_share has no effect on them: write a smaller network\n"},
		"remote ends that are everybody": {"- destroy: {}", "- destroy: {}\n    ignore:\n      remote: ['0.0.0.0/0', '[::]/0', 10.0.0.0/8, '0.0.0.0:80']",
			"FILE:8: warning: rule web: ignore.remote: 0.0.0.0/0 contains every address of its family, so the rule counts no connection to or from one: write a smaller network\n" +
				"FILE:8: warning: rule web: ignore.remote: [::]/0 contains every address of its family, so the rule counts no connection to or from one: write a smaller network\n"},
		"a remote trigger": {"- destroy: {}", "- signal: {name: TERM}\n    accept_remote_trigger: true",
			"FILE:7: warning: rule web: accept_remote_trigger: any peer can make the rule end the program, by closing connections on its own side only\n"},
		"processes that stay down": {"60s}\n    steps:\n      - destroy: {}", "60s, fds: 80%}\n    steps:\n      - signal: {name: TERM}\n    accept_no_restart: true",
			"FILE:7: warning: rule web: accept_no_restart: the rule also ends processes that nothing starts again\n"},
		"processes that stay down where none ends": {"- destroy: {}", "- destroy: {}\n    accept_no_restart: true",
			"FILE:7: warning: rule web: accept_no_restart: has no effect: no step ends a process without starting it again\n"},
		"a container that ends": {"exe: /bin/web}\n    when: {age: 60s}\n    steps:\n      - destroy: {}", "container: '[0-9a-f]{64}'}\n    when: {age: 60s, fds: 80%}\n    steps:\n      - signal: {name: TERM}",
			"FILE:3: warning: rule web: match.container: what starts a container again is unknown to the exporter, so the rule does nothing (decision unsupervised): say accept_no_restart: true to end it all the same\n"},
		"closed sockets with fds":              {"60s}\n    steps:\n      - destroy: {}", "60s, states: [closed], fds: 80%}\n    steps:\n      - signal: {name: TERM}", ""},
		"closed sockets where no process ends": {"60s}", "60s, states: [closed, close_wait]}", ""},
		"a low share of descriptors":           {"60s}\n    steps:\n      - destroy: {}", "60s, fds: 10%}\n    steps:\n      - signal: {name: TERM}", fmt.Sprintf(low, "10%")},
		"a low number of descriptors":          {"60s}\n    steps:\n      - destroy: {}", "60s, fds: 500}\n    steps:\n      - signal: {name: TERM}", fmt.Sprintf(low, "500")},
		"a percentage without its sign": {"60s}\n    steps:\n      - destroy: {}", "60s, fds: 80}\n    steps:\n      - signal: {name: TERM}",
			"FILE:4: warning: rule web: when.fds: 80 is a count of descriptors; did you mean 80%?\n"},
		"a percentage without its sign in a rule that ends nothing": {"60s}", "60s, fds: 80}",
			"FILE:4: warning: rule web: when.fds: 80 is a count of descriptors; did you mean 80%?\n"},
		"an age shorter than two intervals": {"age: 60s", "age: 9s",
			"FILE:4: warning: rule web: when.age: 9s is shorter than two intervals of 5s: a socket counts only after two rounds have seen it, which can take longer: write 10s or more, or a shorter interval\n"},
		"an age of two intervals":                     {"age: 60s", "age: 10s", ""},
		"a short age and interval":                    {smallest, "interval: 1s\n" + strings.Replace(smallest, "60s", "2s", 1), ""},
		"a Go program that is missed":                 {"age: 60s", "age: 30s, for: 31s", fmt.Sprintf(neverGo, "1m1s")},
		"a Go program that is found":                  {"age: 60s", "age: 30s, for: 30s", ""},
		"a Go program whose closed sockets count":     {"age: 60s", "age: 61s, states: [closed]", ""},
		"a program that is not written in Go":         {"exe: /bin/web}\n    when: {age: 60s}", "exe: .*/bin/java}\n    when: {age: 1h}", ""},
		"one that its arguments show not to be in Go": {"exe: /bin/web}\n    when: {age: 60s}", "command: .*catalina.*}\n    when: {age: 1h}", ""},
		"a fair number of descriptors":                {"60s}\n    steps:\n      - destroy: {}", "60s, fds: 900}\n    steps:\n      - signal: {name: TERM}", ""},
		"a low share where no process ends":           {"60s}", "60s, fds: 10%}", ""},
		"a window of a rule that ends nothing": {"- destroy: {}", "- destroy: {}\n    window: {from: '02:00', to: '05:00'}",
			"FILE:7: warning: rule web: window: has no effect: no step of the rule can end a process\n"},
		"a KILL out of the blue": {"60s}\n    steps:\n      - destroy: {}", "60s, fds: 80%}\n    steps:\n      - destroy: {}\n      - signal: {name: KILL}",
			"FILE:7: warning: rule web: step 2 (signal): KILL comes without a TERM before it: the program cannot finish its work\n"},
		"a placeholder that is none": {"- destroy: {}", "- run: {command: [/bin/x, '{comm} {pid}']}",
			"FILE:6: warning: rule web: step 1 (run): command: {comm} is not replaced: placeholders are {pid}, {rule}, {group}\n"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := check(t, strings.Replace(smallest, c.replace, c.by, 1), 0o644)
			if err != nil {
				t.Fatal(err)
			}
			warnings := ""
			for line := range strings.Lines(got) {
				if strings.Contains(line, "warning") {
					warnings += line
				}
			}
			if diff := cmp.Diff(c.want, warnings); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestCheckWarnsAboutWhatTheHostDoesNotHave checks too that warnings are reported beside an error,
// in the order of the lines.
func TestCheckWarnsAboutWhatTheHostDoesNotHave(t *testing.T) {
	const text = `protect: {unit: [db], user: [postgress, '70'], group: [web]}
rules:
  - name: web
    match: {exe: /bin/web, user: tomcatt|jettyy}
    when: {age: 60s}
    steps:
      - run: {command: [/bin/ok]}
      - run: {command: [/bin/missing, x]}
      - run: {command: [/bin/data]}
      - run: {command: [/bin/weak]}
  - name: numbers
    match: {user: '998'}
    when: {age: 60s}
    steps:
      - destroy: {}
  - name: some
    match: {user: (www|jettyy)}
    when: {age: 60s}
    steps:
      - destroy: {}
`
	lacking := Host{
		Trusted: func(string) error { return errors.New("chmod go-w it") },
		CanRun: func(command []string) error {
			return map[string]error{"/bin/missing": fs.ErrNotExist, "/bin/data": fs.ErrPermission, "/bin/weak": errors.New("chmod go-w it")}[command[0]]
		},
		HasUser: func(name string) bool { return name == "www" },
	}
	const (
		suspended = "with --reaper.enforce the rule would be suspended on this host: "
		warnings  = `FILE:1: warning: protect.unit: "db" matches no unit: the whole name of a service is compared, which ends with .service and is no path: write db\.service
FILE:1: warning: protect.group: "web" matches no group: the whole group is compared, such as web.service, pod:UID or container:0123456789ab, and no name that a process has given itself: write web\.service
FILE:1: warning: other users can change the rules, and so decide which programs are run and ended, so --reaper.enforce refuses them: chmod go-w it
FILE:1: warning: protect.user: no user is called postgress on this host, so this matches no process: correct the name, or write the number of the user; ignore this if the rules are for another host
FILE:4: warning: rule web: match.user: no user is called tomcatt or jettyy on this host, so this matches no process: correct the name, or write the number of the user; ignore this if the rules are for another host
FILE:8: warning: rule web: step 2 (run): ` + suspended + `file does not exist: install it or correct the path; ignore this if the rules are for another host
FILE:9: warning: rule web: step 3 (run): ` + suspended + `permission denied: make it executable with chmod +x; ignore this if the rules are for another host
FILE:10: warning: rule web: step 4 (run): ` + suspended + `chmod go-w it; ignore this if the rules are for another host
`
	)
	got, err := checkOn(t, lacking, text, 0o644)
	if _, got, _ = strings.Cut(got, "then destroy; cooldown 10m0s\n  some"); err != nil || !strings.HasSuffix(got, "cooldown 10m0s\n"+warnings) {
		t.Errorf("%v\n%s\nwant\n%s", err, got, warnings)
	}
	got, err = checkOn(t, lacking, strings.Replace(text, "name: numbers", "nam: numbers", 1), 0o644)
	problem := "FILE:11: rule 2: unknown key \"nam\": known here are " + strings.Join(ruleKeys, ", ")
	if err == nil || got != "" || err.Error() != warnings+problem {
		t.Errorf("%v\n%s\nwant\n%s", err, got, warnings+problem)
	}
}

// TestCheckWarnsOfUnitsThatStayDown: the rule without an ending step, and the one that accepts it,
// get no warning.
func TestCheckWarnsOfUnitsThatStayDown(t *testing.T) {
	const text = `rules:
  - name: web
    match: {unit: 'web@1\.service'}
    when: {age: 60s, fds: 80%}
    steps: [signal: {name: TERM}, signal: {name: KILL}]
  - name: gone
    match: {unit: gone\.service}
    when: {age: 60s, fds: 80%}
    steps: [signal: {name: TERM}]
  - name: reset
    match: {unit: 'web@1\.service'}
    when: {age: 60s}
    steps: [destroy: {}]
  - name: several
    match: {unit: 'web@.*\.service'}
    when: {age: 60s, fds: 80%}
    steps: [signal: {name: TERM}]
`
	host, asked := capable, []string{}
	host.Supervision = func(unit string) (s closewait.Supervision, err error) {
		if asked = append(asked, unit); unit == "gone.service" {
			return s, errors.New("there is no such service")
		}
		return closewait.Supervision{By: closewait.BySystemd, StaysDown: map[string]string{"TERM": "it stays down"}}, nil
	}
	got, err := checkOn(t, host, text, 0o644)
	want := "FILE:3: warning: rule web: match.unit: after TERM, it stays down, so the rule does nothing (decision unsupervised): " +
		"say accept_no_restart: true to end it all the same; ignore this if the rules are for another host\n"
	if _, warnings, _ := strings.Cut(got, "FILE:3:"); err != nil || "FILE:3:"+warnings != want {
		t.Errorf("%v\n%s\nwant\n%s", err, got, want)
	}
	if diff := cmp.Diff([]string{"web@1.service", "gone.service"}, asked); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestNoWarningFollowsFromAProblem has values that are refused, so nothing is known about them.
func TestNoWarningFollowsFromAProblem(t *testing.T) {
	cases := map[string]struct{ replace, by string }{
		"an interval":            {smallest, "interval: 1\n" + strings.Replace(smallest, "60s", "1s", 1)},
		"an age":                 {"age: 60s", "age: 1"},
		"a misspelt key of when": {"age: 60s", "age: 1h, include_defunkt: true"},
		"states":                 {"age: 60s", "age: 1h, states: [half]"},
		"an expression":          {"exe: /bin/web", "exe: 'java(', user: .*"},
		"peer_share":             {smallest, "trusted_peers: [10.0.0.0/8]\n" + strings.Replace(smallest, "60s", "60s, peer_share: 5", 1)},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := check(t, strings.Replace(smallest, c.replace, c.by, 1), 0o644)
			if err == nil || strings.Contains(err.Error(), "warning") {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestCheckFailsAsLoadDoes(t *testing.T) {
	got, err := check(t, "rules: []\n", 0o644)
	if want := "FILE:1: rules: there is no rule: write at least one, or leave out --reaper.config"; got != "" || err == nil || err.Error() != want {
		t.Errorf("%q, %v, want %s", got, err, want)
	}
	if err := Check(filepath.Join(t.TempDir(), "missing.yml"), capable, &bytes.Buffer{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v is not that the file is missing", err)
	}
}

func TestCheckNamesTheFlagThatEvidenceNeeds(t *testing.T) {
	const line = "  evidence steps need a directory: start the exporter with --reaper.evidence-dir=DIR\n"
	for steps, want := range map[string]bool{"- destroy: {}": false, "- evidence: {}": true, "- evidence: {}\n      - destroy: {}": true} {
		got, err := check(t, strings.Replace(smallest, "- destroy: {}", steps, 1), 0o644)
		if err != nil || strings.Contains(got, line) != want {
			t.Errorf("with %q: %v\n%s", steps, err, got)
		}
	}
}
