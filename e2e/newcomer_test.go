package e2e

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"closewait_exporter/internal/leaktest"
)

// newcomer follows the README in a fresh clone, with empty caches and hardly any programs.
type newcomer struct {
	t       *testing.T
	clone   string
	env     []string
	address string // of the exporter
	leak    *session
}

// step does what a block of code in the README says and checks what the README promises about it.
type step struct {
	line string // a line of the README, which has to be there
	do   func(*newcomer)
}

// readmeSteps are the lines of all blocks of code in the README, in its order. A line that is only
// here or only there fails TestANewUserFollowsTheReadme.
var readmeSteps = []step{
	{"make run      # build, and serve metrics on http://localhost:10052", nil}, // has been started before
	{"make test     # run the tests; as root also those that need the real kernel", (*newcomer).dryTest},
	{"sudo ./closewait_exporter list", (*newcomer).list},
	{"make demo", (*newcomer).demo},
	{"go run ./cmd/leak server --comm=mine --rate=5 --nofile=1024", nil},                                // has been started before
	{"prometheus --config.file=alerts/prometheus.example.yml --storage.tsdb.path=/tmp/prometheus", nil}, // alerts/ tests it
	{"prometheus-alertmanager --config.file=alerts/alertmanager.example.yml --storage.path=/tmp/alertmanager --cluster.listen-address=", nil},
	{"cp deploy/reaper.example.yml reaper.yml && $EDITOR reaper.yml", (*newcomer).copyRules},
	{"./closewait_exporter check-config reaper.yml                      # is it valid, and what does it mean?", (*newcomer).checkRules},
	{"sudo ./closewait_exporter explain --reaper.config=reaper.yml      # which rule matches, and what holds", (*newcomer).explain},
}

// newcomerPrograms are all programs that a newcomer has, besides Go: git, make and a basic system.
var newcomerPrograms = []string{
	"go", "git", "make", "sh", "bash", "awk", "sed", "grep", "cat", "cp", "rm", "mkdir", "mktemp", "date", "uname", "sleep", "env", "tail", "sort", "head", "install",
	"basename", "chmod", "cut", "dirname", "id", "ln", "ls", "mv", "realpath", "seq", "tee", "touch", "tr", "uniq", "wc",
}

// TestANewUserFollowsTheReadme clones the repository and follows the README from top to bottom.
// One command after the clone, make run, has to be enough to find a leak.
func TestANewUserFollowsTheReadme(t *testing.T) {
	leaktest.RequireRoot(t)
	if os.Getenv(longVariable) == "" {
		t.Skipf("downloads modules and takes minutes: run it with %s=1", longVariable)
	}
	requireSameLines(t)
	n := newNewcomer(t)
	began := time.Now()
	run := n.start("make run LISTEN=" + n.address)
	awaitPage(t, run, n.address, `closewait_scan_success 1`)
	t.Logf("from the clone to the first metrics: %v", time.Since(began).Round(time.Second))
	n.leak = n.start("go run ./cmd/leak server --comm=mine --rate=5 --nofile=1024")
	awaitPage(t, run, n.address, `comm="mine"`)
	t.Logf("from the clone to the first leak: %v", time.Since(began).Round(time.Second))
	n.inTheBrowser()
	n.queries()
	n.diagnose()
	for _, s := range readmeSteps {
		if s.do != nil {
			s.do(n)
		}
	}
	run.interrupt(t, n.address)
}

// requireSameLines compares the blocks of code of the README with readmeSteps.
func requireSameLines(t *testing.T) {
	t.Helper()
	var lines, known []string
	for _, block := range regexp.MustCompile("(?s)\n```\n(.*?)```").FindAllStringSubmatch(string(read(t, "../README.md")), -1) {
		lines = append(lines, strings.Split(strings.TrimSpace(block[1]), "\n")...)
	}
	for _, s := range readmeSteps {
		known = append(known, s.line)
	}
	if !slices.Equal(lines, known) {
		t.Errorf("the lines of the README are\n%s\nand this test follows\n%s", strings.Join(lines, "\n"), strings.Join(known, "\n"))
	}
}

func newNewcomer(t *testing.T) *newcomer {
	t.Helper()
	home, programs := t.TempDir(), t.TempDir()
	for _, program := range newcomerPrograms {
		path, err := exec.LookPath(program)
		must(t, err)
		must(t, os.Symlink(path, filepath.Join(programs, program)))
	}
	env := []string{
		"PATH=" + programs, "HOME=" + home, "GOPATH=" + filepath.Join(home, "go"), "GOCACHE=" + filepath.Join(home, "cache"), "GOFLAGS=-modcacherw", // modules could not be removed otherwise
		"EDITOR=true",
	}
	for _, name := range []string{"GOPROXY", "GONOSUMDB", "GONOSUMCHECK", "GOSUMDB", "GOTOOLCHAIN"} { // of the network, not of the machine
		if value, err := exec.Command("go", "env", name).Output(); err == nil && strings.TrimSpace(string(value)) != "" {
			env = append(env, name+"="+strings.TrimSpace(string(value)))
		}
	}
	return &newcomer{t: t, clone: clone(t), env: env, address: freeAddress(t)}
}

func (n *newcomer) start(line string) *session { return startSession(n.t, n.clone, n.env, line) }

// run runs a command line to its end, as root without sudo, and returns its exit status and output.
func (n *newcomer) run(line string) (status int, output string) {
	n.t.Helper()
	line, _, _ = strings.Cut(line, " #")
	command := exec.CommandContext(n.t.Context(), "sh", "-c", strings.TrimPrefix(line, "sudo "))
	command.Dir, command.Env = n.clone, n.env
	out, err := command.CombinedOutput()
	if err != nil && command.ProcessState == nil {
		n.t.Fatalf("%s: %v", line, err)
	}
	return command.ProcessState.ExitCode(), string(out)
}

// require runs a command line and checks its exit status and its output.
func (n *newcomer) require(line string, want int, wanted ...string) {
	n.t.Helper()
	status, output := n.run(line)
	for _, w := range wanted {
		if !strings.Contains(output, w) {
			n.t.Errorf("%s: no %q in\n%s", line, w, output)
		}
	}
	if status != want {
		n.t.Errorf("%s: exit status %d, want %d:\n%s", line, status, want, output)
	}
}

// inTheBrowser checks the pages that the README names.
func (n *newcomer) inTheBrowser() {
	n.t.Helper()
	e := &exporter{t: n.t, address: n.address}
	for path, want := range map[string]string{"/": "mine", "/docs/": "Runbook", "/docs/RUNBOOK.md": "ClosewaitLeak"} {
		if _, body := e.get(path); !strings.Contains(body, want) {
			n.t.Errorf("no %q at %s", want, path)
		}
	}
}

// queries checks that each metric of the table of queries is exported while something leaks.
func (n *newcomer) queries() {
	n.t.Helper()
	_, body := (&exporter{t: n.t, address: n.address}).get("/metrics")
	_, section, _ := strings.Cut(string(read(n.t, "../README.md")), "\n## In Prometheus\n")
	section, _, _ = strings.Cut(section, "\n## ")
	names := map[string]bool{}
	for _, name := range regexp.MustCompile(`closewait_process_\w+`).FindAllString(section, -1) {
		names[name] = true
	}
	if len(names) < 5 {
		n.t.Errorf("only %d metrics in the table of queries", len(names))
	}
	for name := range maps.Keys(names) {
		if !strings.Contains(body, "\n"+name+"{") {
			n.t.Errorf("%s is not exported", name)
		}
	}
}

// diagnose finds out why it leaks, as the text below list says.
func (n *newcomer) diagnose() {
	n.t.Helper()
	_, table := n.run("./closewait_exporter list --group=mine")
	pid := regexp.MustCompile(`(?m)^mine +(\d+)`).FindStringSubmatch(table)
	if pid == nil {
		n.t.Fatalf("no process mine in\n%s", table)
	}
	if _, err := strconv.Atoi(pid[1]); err != nil {
		n.t.Fatal(err)
	}
	n.require("sudo ./closewait_exporter diagnose "+pid[1], 2, "VERDICT", "EVIDENCE", "NEXT")
}

func (n *newcomer) list() {
	n.t.Helper()
	n.require("sudo ./closewait_exporter list", 0, "GROUP", "SOCKETS", "OLDEST", "FDS", "mine", "ended connections", "owners known")
	n.require("sudo ./closewait_exporter list --sockets", 0, "UNREAD", "CLOSE_WAIT")
}

// dryTest checks that make test is there; CI runs it.
func (n *newcomer) dryTest() { n.require("make --dry-run test", 0, "go vet ./...") }

// demo runs beside make run, so it needs another address.
func (n *newcomer) demo() {
	n.t.Helper()
	address := freeAddress(n.t)
	u := n.start("make demo LISTEN=" + address + " PROMETHEUS=" + freeAddress(n.t))
	awaitPage(n.t, u, address, `closewait_process_sockets{comm="leaky-shop"`)
	awaitOutput(n.t, u, "http://"+address+"/metrics")
	awaitOutput(n.t, u, "leaky-shop ")
	awaitOutput(n.t, u, "Ctrl-C stops everything")
	u.interrupt(n.t, address)
}

func (n *newcomer) copyRules() {
	n.require("cp deploy/reaper.example.yml reaper.yml && $EDITOR reaper.yml", 0)
}

func (n *newcomer) checkRules() {
	n.require("./closewait_exporter check-config reaper.yml", 0, "reaper.yml: valid")
}

func (n *newcomer) explain() {
	n.require("sudo ./closewait_exporter explain --reaper.config=reaper.yml", 0)
}
