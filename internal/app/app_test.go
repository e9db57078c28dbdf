package app

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/go-kit/log"
	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"
)

// TestMain makes the program available to tests as a command.
func TestMain(m *testing.M) {
	testscript.Main(leakChecked{m}, map[string]func(){program: main})
}

// main does what main.go does.
func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	os.Exit(Run(ctx, os.Args[1:], nil, os.Stdout, os.Stderr))
}

// leakChecked runs tests and fails them when they leave goroutines behind.
type leakChecked struct{ *testing.M }

func (c leakChecked) Run() int {
	status := c.M.Run()
	if err := goleak.Find(); err != nil && status == 0 {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return status
}

func TestCommandLine(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata/script"})
}

func TestBadFlagsAreErrorsThatSayHowToFixThem(t *testing.T) {
	tests := map[string]struct{ args, want string }{
		"an unknown scanner":            {"--collector.scanner=lsof", `--collector.scanner: "lsof" is unknown: use auto, ebpf, netlink or procfs`},
		"unknown namespaces":            {"--collector.network-namespaces=some", `use all or own`},
		"a negative age":                {"--collector.min-age=-1s", `--collector.min-age: "-1s" is not a duration of 0s or more`},
		"an age without unit":           {"--collector.min-age=5", `use for example 500ms, 1s or 1h30m`},
		"a flag without value":          {"--collector.min-age", `expected argument for flag '--collector.min-age'`},
		"a flag before another's value": {"--log.level --collector.min-age=1s", `expected argument for flag '--log.level'`},
		"buckets that do not ascend":    {"--collector.age-buckets=1,60,10", `1,60,10 is not ascending: 10 comes after 60`},
		"a bucket twice":                {"--collector.age-buckets=1,1", `is not ascending`},
		"no buckets":                    {"--collector.age-buckets=", `"" is not a number of seconds above 0`},
		"a negative bucket":             {"--collector.age-buckets=-1,5", `"-1" is not a number of seconds above 0`},
		"an infinite bucket":            {"--collector.age-buckets=1,+Inf", `"+Inf" is not a number`},
		"a bucket that is no number":    {"--collector.age-buckets=1,NaN", `"NaN" is not a number`},
		"negative processes":            {"--collector.max-processes=-1", `--collector.max-processes: "-1" is not a whole number of at least 0`},
		"negative services":             {"--collector.max-services=-1", `--collector.max-services: "-1"`},
		"half a request":                {"--web.max-requests=1.5", `--web.max-requests: "1.5" is not a whole number`},
		"negative requests":             {"--web.max-requests=-1", `of at least 0`},
		"negative connections":          {"--web.max-connections=-1", `--web.max-connections: "-1" is not a whole number of at least 0`},
		"no CPU":                        {"--runtime.gomaxprocs=0", `--runtime.gomaxprocs: "0" is not a whole number of at least 1`},
		"metrics on the landing page":   {"--web.telemetry-path=/", `--web.telemetry-path: "/" is taken`},
		"a dashboard without host":      {"--web.dashboard-url=closewait", `use for example https://grafana.example/d/closewait`},
		"a dashboard that is a script":  {"--web.dashboard-url=javascript://x/alert(1)", `is not the address of a page`},
		"metrics without slash":         {"--web.telemetry-path=metrics", `does not begin with a slash: use "/metrics"`},
		"an empty /proc":                {"--path.procfs=", `--path.procfs: is empty`},
		"an unknown level":              {"--log.level=loud", `use debug, info, warn or error`},
		"an unknown format":             {"--log.format=xml", `use logfmt or json`},
		"an unknown output":             {"list --output=xml", `use table or json`},
		"an unknown order":              {"list --sort=worst", `--sort: "worst" is unknown: use group, pid, sockets`},
		"an order that needs scans":     {"list --sort=left", `--sort=left needs more than one scan: give --watch or --from too`},
		"no process":                    {"list --pid=0", `--pid: "0" is not a whole number of at least 1`},
		"no number among pids":          {"list --pid=1 --pid=java", `--pid: "java" is not a whole number`},
		"no group":                      {"list --group=", `--group: is empty`},
		"no port":                       {"list --port=0", `--port: "0" is not a port from 1 to 65535`},
		"a port that is too large":      {"list --port=65536", `"65536" is not a port`},
		"less than no process":          {"list --top=-1", `--top: "-1" is not a whole number of at least 0`},
		"an interval that is too short": {"list --watch=1ms", `--watch: "1ms" is not a duration of at least 100ms: use for example 2s`},
		"an interval without unit":      {"list --watch=5", `--watch: "5" is not a duration`},
		"a watch that never fails":      {"list --watch --fail-if-leaking", `--watch has no end`},
		"no user":                       {"list --user=", `--user: is empty`},
		"command lines of an exporter":  {"list --command --from=http://x:1", `an exporter sends no command lines: leave one of --command and --from out`},
		"a watch of sockets":            {"list --watch --sockets", `leave --sockets out, or add --output=json`},
		"an unknown flag":               {"--collector.pids", `unknown long flag '--collector.pids'`},
		"an unknown command":            {"kill", `unexpected kill`},
		"a flag of another command":     {"list --web.telemetry-path=/x", `unknown long flag '--web.telemetry-path'`},
		"an unreadable web config":      {"--web.config.file=/nonexistent/web.yml", `/nonexistent/web.yml: no such file or directory: give a file as described in`},
		"a bad web config":              {"--web.config.file=app_test.go", `--web.config.file=app_test.go: yaml`},
		"an empty address":              {"--web.listen-address=", `--web.listen-address is empty: give an address such as :10052`},
		"an address without port":       {"--web.listen-address=localhost", `missing port in address: give --web.listen-address`},
		"no systemd socket":             {"--web.systemd-socket", `start through a .socket unit`},
		"no /proc":                      {"--path.procfs=testdata", `testdata is no proc file system`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			command, o, err := parse(strings.Fields(test.args), io.Discard)
			if err == nil && command == serveCommand {
				err = serve(t.Context(), o, log.NewNopLogger(), slog.New(slog.DiscardHandler))
			}
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error is %v, want %q in it", err, test.want)
			}
		})
	}
}

func TestHelpAndVersionAreWrittenToStandardOutput(t *testing.T) {
	for args, want := range map[string]string{"--help": "usage: closewait_exporter", "list --help": "--output=table", "evidence --help": "-o, --output-file=FILE", "origin --help": "-o, --output-file=FILE", "--version": "closewait_exporter, version (devel)", "help explain": "usage: closewait_exporter explain"} {
		var stdout, stderr strings.Builder
		if status := Run(t.Context(), strings.Fields(args), nil, &stdout, &stderr); status != 0 || stderr.Len() > 0 || !strings.Contains(stdout.String(), want) {
			t.Errorf("%s: exit status %d, %q, and %q is not in\n%s", args, status, &stderr, want, &stdout)
		}
	}
}

func TestNoMoreCPUsAreUsedThanThereAre(t *testing.T) {
	_, o, err := parse([]string{"--runtime.gomaxprocs=99999999"}, io.Discard) // the runtime would allocate for minutes
	if err != nil {
		t.Fatal(err)
	}
	if most := runtime.NumCPU(); o.gomaxprocs != most || o.scan.Workers != most {
		t.Errorf("uses %d CPUs and %d workers, want %d of both", o.gomaxprocs, o.scan.Workers, most)
	}
}
