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
)

// check runs Check on a file of that text and mode. FILE stands for its name in the answer.
func check(t *testing.T, text string, mode os.FileMode) (string, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "rules.yml")
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil { // the umask took some
		t.Fatal(err)
	}
	var out bytes.Buffer
	err := Check(path, trusted, &out)
	if err != nil {
		err = errors.New(strings.ReplaceAll(err.Error(), path, "FILE"))
	}
	return strings.ReplaceAll(out.String(), path, "FILE"), err
}

func trusted(string) error { return nil }

func TestCheckSaysWhatTheRulesComeTo(t *testing.T) {
	two := smallest + `  - name: client
    mode: enforce
    match: {exe: /bin/client}
    when: {age: 1h, for: 1m, direction: outbound, fds: 55.5%, sockets: 7, states: [close_wait]}
    steps:
      - thread_dump: {}
      - signal: {name: TERM}
    cooldown: 1d
`
	got, err := check(t, two, 0o644)
	want := `FILE: valid: 2 rules (web dry_run, client enforce)
  every 5s, at most 3 actions per 10m0s
  web: {sockets: 2, age: 1m0s, for: 0s, direction: any}, then destroy; cooldown 10m0s
  client: {sockets: 7, age: 1h0m0s, for: 1m0s, direction: outbound, fds: 55.5%, states: [close_wait]}, then thread_dump, signal TERM; cooldown 24h0m0s
FILE:8: warning: rule client: mode: enforce acts only if the exporter runs with --reaper.enforce
`
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

func TestCheckWarnsOfWhatIsPerhapsNotMeant(t *testing.T) {
	const low = "FILE:4: warning: rule web: when.fds: a busy server reaches %s without a leak, so clients could trigger the rule: write 80%% or more\n"
	cases := map[string]struct{ replace, by, want string }{
		"nothing":                   {"", "", ""},
		"a rule for every process":  {"exe: /bin/web", "exe: .*, user: .+", "FILE:3: warning: rule web: match: selects every process of the host that has these properties\n"},
		"a rule for every service":  {"exe: /bin/web", "exe: .*, unit: web.*", ""},
		"a shared peer of outbound": {"age: 60s", "age: 60s, direction: outbound, peer_share: 25%", "FILE:4: warning: rule web: when.peer_share: has no effect: it is about inbound sockets, and direction is outbound\n"},
		"trusted peers for nothing": {"rules:", "trusted_peers: [10.0.0.0/8]\nrules:", "FILE:1: warning: trusted_peers: has no effect: no rule has when.peer_share\n"},
		"a remote trigger": {"- destroy: {}", "- signal: {name: TERM}\n    accept_remote_trigger: true",
			"FILE:7: warning: rule web: accept_remote_trigger: any peer can make the rule end the program, by closing connections on its own side only\n"},
		"closed sockets with fds":              {"60s}\n    steps:\n      - destroy: {}", "60s, states: [closed], fds: 80%}\n    steps:\n      - signal: {name: TERM}", ""},
		"closed sockets where no process ends": {"60s}", "60s, states: [closed, close_wait]}", ""},
		"a low share of descriptors":           {"60s}\n    steps:\n      - destroy: {}", "60s, fds: 10%}\n    steps:\n      - signal: {name: TERM}", fmt.Sprintf(low, "10%")},
		"a low number of descriptors":          {"60s}\n    steps:\n      - destroy: {}", "60s, fds: 500}\n    steps:\n      - signal: {name: TERM}", fmt.Sprintf(low, "500")},
		"a percentage without its sign": {"60s}\n    steps:\n      - destroy: {}", "60s, fds: 80}\n    steps:\n      - signal: {name: TERM}",
			"FILE:4: warning: rule web: when.fds: 80 is a count of descriptors; did you mean 80%?\n"},
		"a fair number of descriptors":      {"60s}\n    steps:\n      - destroy: {}", "60s, fds: 900}\n    steps:\n      - signal: {name: TERM}", ""},
		"a low share where no process ends": {"60s}", "60s, fds: 10%}", ""},
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

func TestCheckWarnsOfFilesThatOtherUsersCanChange(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rules.yml")
	guarded := strings.Replace(smallest, "- destroy: {}", "- destroy: {}\n      - run: {command: [/bin/guard, x]}\n      - run: {command: [/bin/missing]}", 1)
	if err := os.WriteFile(path, []byte(guarded), 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	err := Check(path, func(file string) error {
		if file == "/bin/missing" {
			return fs.ErrNotExist
		}
		return fmt.Errorf("chmod go-w %s", file)
	}, &out)
	want := path + ":1: warning: other users can change the rules, and so decide which programs are run and ended, so --reaper.enforce refuses them: chmod go-w " + path + "\n" +
		path + ":2: warning: rule web: step 2 (run): other users can change the program, so --reaper.enforce refuses the rule: chmod go-w /bin/guard\n"
	if err != nil || !strings.HasSuffix(out.String(), want) {
		t.Errorf("%v\n%s\nwant\n%s", err, out.String(), want)
	}
}

func TestCheckFailsAsLoadDoes(t *testing.T) {
	got, err := check(t, "rules: []\n", 0o644)
	if want := "FILE:1: rules: there is no rule: write at least one, or leave out --reaper.config"; got != "" || err == nil || err.Error() != want {
		t.Errorf("%q, %v, want %s", got, err, want)
	}
	if err := Check(filepath.Join(t.TempDir(), "missing.yml"), trusted, &bytes.Buffer{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v is not that the file is missing", err)
	}
}
