package rules

import (
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	promconfig "github.com/prometheus/common/config"

	"closewait_exporter/closewait"
	"closewait_exporter/reaper/condition"
	"closewait_exporter/reaper/document"
	"closewait_exporter/reaper/step"
)

// sameConfig compares expressions by their text.
var sameConfig = cmp.Options{
	cmp.Comparer(func(a, b *regexp.Regexp) bool {
		return (a == nil) == (b == nil) && (a == nil || a.String() == b.String())
	}),
	cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }),
	cmp.Comparer(func(a, b promconfig.HTTPClientConfig) bool { return reflect.DeepEqual(a, b) }),
}

func anchored(text string) *regexp.Regexp { return regexp.MustCompile(anchorStart + text + anchorEnd) }

func TestLoadReadsEveryKey(t *testing.T) {
	got, err := Load("testdata/every-key.yml")
	if err != nil {
		t.Fatal(err)
	}
	http := promconfig.DefaultHTTPClientConfig
	http.Authorization = &promconfig.Authorization{Type: "Bearer", CredentialsFile: "testdata/token"}
	want := &Config{
		TrustedPeers: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::1/128")},
		Protect: Protect{
			Exe: []*regexp.Regexp{anchored("/opt/db/.*")}, Unit: []*regexp.Regexp{anchored(`db@\d+\.service`), anchored("x")},
			User: []*regexp.Regexp{anchored("postgres"), anchored("70")}, Group: []*regexp.Regexp{anchored("pod:.*")},
		},
		Limits:   Limits{Actions: 5, Per: 36 * time.Hour},
		Interval: 2 * time.Second,
		Fleet: Fleet{Brake: &Brake{
			URL: "https://prometheus.example:9090/prefix", Query: `sum(closewait_reaper_candidates{mode="enforce",rule="$rule"})`,
			Below: 2.5, Settle: 3 * time.Minute, Timeout: 10 * time.Second, HTTP: http,
		}, Slots: &Slots{Namespace: "closewait", Count: 3, Hold: 30 * time.Minute}},
		Rules: []Rule{{
			Name: "tomcat-leak", Mode: Enforce,
			Match: Match{Exe: anchored(".*/bin/java"), Command: anchored(".*catalina.*"), Unit: anchored(`tomcat.*\.service`), User: anchored("tomcat")},
			Ignore: Ignore{
				Remote: []Endpoint{
					{netip.MustParsePrefix("127.0.0.1/32"), 2049}, {netip.MustParsePrefix("10.1.0.0/16"), 0}, {netip.MustParsePrefix("fd00::/8"), 0},
				},
				LocalPort: []uint16{22, 2222},
			},
			When: condition.When{Sockets: 3, Age: time.Minute, For: 30 * time.Second, FDs: condition.Threshold{Ratio: 0.8}, Direction: condition.InboundOnly, PeerShare: 0.25, States: closewait.NewStateSet(closewait.EndedStates...)},
			Steps: []step.Step{
				step.Evidence{},
				step.RaiseNoFile{Hard: true},
				step.Run{Command: []string{"/usr/local/bin/drain", "{pid}"}, Timeout: 20 * time.Second},
				step.Destroy{}, step.Shutdown{}, step.ThreadDump{},
				step.Evict{Namespaces: []string{"shop", "cart"}, Wait: 90 * time.Second, Allow: []string{"bare", "job", "emptydir", "no_pdb"}},
				step.Signal{Name: "TERM", Wait: 15 * time.Second},
				step.Signal{Name: "KILL", Wait: 5 * time.Second},
			},
			Cooldown: 20 * time.Minute, AcceptRemoteTrigger: true, AcceptNoRestart: true,
		}, {
			Name: "second", Mode: DryRun,
			Match:    Match{Container: anchored("[0-9a-f]+")},
			When:     condition.When{Sockets: 2, Age: time.Hour, FDs: condition.Threshold{Count: 900}, Direction: condition.OutboundOnly, States: closewait.NewStateSet(closewait.EndedStates...)},
			Steps:    []step.Step{step.RaiseNoFile{To: 4096}, step.RaiseNoFile{Hard: true}},
			Cooldown: 10 * time.Minute,
		}},
	}
	if diff := cmp.Diff(want, got, sameConfig); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// smallest is a rules file with the required keys only. Tests change one thing in it.
const smallest = `rules:
  - name: web
    match: {exe: /bin/web}
    when: {age: 60s}
    steps:
      - destroy: {}
`

func TestParseFillsInWhatIsNotSaid(t *testing.T) {
	want := &Config{
		Limits:   Limits{Actions: 3, Per: 10 * time.Minute},
		Interval: 5 * time.Second,
		Rules: []Rule{{
			Name: "web", Mode: DryRun, Match: Match{Exe: anchored("/bin/web")},
			When: condition.When{Sockets: 2, Age: time.Minute, States: closewait.NewStateSet(closewait.CloseWait)}, Steps: []step.Step{step.Destroy{}}, Cooldown: 10 * time.Minute,
		}},
	}
	empty := "trusted_peers:\nprotect:\nlimits:\n" + strings.Replace(smallest, "exe: /bin/web", `exe: /bin/web, user: ""`, 1) + "    ignore:\n"
	for name, text := range map[string]string{"keys that are not there": smallest, "keys with nothing below them": empty} {
		t.Run(name, func(t *testing.T) {
			got, err := Parse("rules.yml", []byte(text))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got, sameConfig); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestStepsHaveDefaults(t *testing.T) {
	text := strings.Replace(smallest, "- destroy: {}", "- raise_nofile:\n      - run: {command: [/bin/ok]}\n      - signal: {name: WINCH}", 1)
	config, err := Parse("rules.yml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	want := []step.Step{
		step.RaiseNoFile{Hard: true},
		step.Run{Command: []string{"/bin/ok"}, Timeout: 30 * time.Second},
		step.Signal{Name: "WINCH", Wait: 10 * time.Second},
	}
	if diff := cmp.Diff(want, config.Rules[0].Steps); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestRulesCanShareTheirPartsByAlias(t *testing.T) {
	text := strings.Replace(smallest, "steps:", "steps: &mild", 1) + "  - name: other\n    match: {exe: /bin/other}\n    when: {age: 60s}\n    steps: *mild\n"
	config, err := Parse("rules.yml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(config.Rules[0].Steps, config.Rules[1].Steps); diff != "" {
		t.Error(diff)
	}
}

func TestLoadSaysWhyAFileCannotBeRead(t *testing.T) {
	dir := t.TempDir()
	long := filepath.Join(dir, "long.yml")
	if err := os.WriteFile(long, make([]byte, maxFileBytes+1), 0o600); err != nil {
		t.Fatal(err)
	}
	missing := filepath.Join(dir, "missing.yml")
	cases := map[string]struct {
		path, want string
		is         error
	}{
		"a file that is not there": {missing, "rules file: open " + missing + ": no such file or directory: " +
			"give its path with --reaper.config, and let the exporter read it", fs.ErrNotExist},
		"a directory": {dir, "rules file: read " + dir + ": is a directory: --reaper.config needs the path of a readable file", nil},
		"a file that is too long": {long, "rules file " + long + ": longer than 1 MiB: is it a rules file? " +
			"Write fewer rules with wider expressions", errTooLong},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := Load(c.path)
			if err == nil || err.Error() != c.want {
				t.Fatalf("got  %v\nwant %s", err, c.want)
			}
			if c.is != nil && !errors.Is(err, c.is) {
				t.Errorf("%v is not %v", err, c.is)
			}
		})
	}
}

func TestProblemsCanBeTakenApart(t *testing.T) {
	_, err := Parse("rules.yml", []byte("interval: 0s\nrules: []\n"))
	var all document.Problems
	var first document.Problem
	if !errors.As(err, &all) || len(all) != 2 || !errors.As(err, &first) || first != all[0] {
		t.Errorf("%#v is not two Problems", err)
	}
}
