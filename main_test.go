package main

import (
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/go-kit/log"
	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"
)

// TestMain makes the program available to tests as a command of its own.
func TestMain(m *testing.M) {
	testscript.Main(leakChecked{m}, map[string]func(){program: main})
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

func TestBadFlagsAreErrorsThatSayHowToMendThem(t *testing.T) {
	tests := map[string]struct{ args, want string }{
		"a scanner that there is not":   {"--collector.scanner=lsof", `--collector.scanner: "lsof" is unknown: use auto, ebpf, netlink or procfs`},
		"namespaces that there are not": {"--collector.network-namespaces=some", `use all or own`},
		"a negative age":                {"--collector.min-age=-1s", `--collector.min-age: "-1s" is not a duration from 0s on`},
		"an age without unit":           {"--collector.min-age=5", `write 500ms, 1s or 1h30m`},
		"a flag without value":          {"--collector.min-age", `expected argument for flag '--collector.min-age'`},
		"a flag before another's value": {"--log.level --collector.min-age=1s", `expected argument for flag '--log.level'`},
		"buckets that do not ascend":    {"--collector.age-buckets=1,60,10", `1,60,10 does not ascend: 10 comes after 60`},
		"a bucket twice":                {"--collector.age-buckets=1,1", `does not ascend`},
		"no buckets":                    {"--collector.age-buckets=", `"" is not a number of seconds above 0`},
		"a negative bucket":             {"--collector.age-buckets=-1,5", `"-1" is not a number of seconds above 0`},
		"an infinite bucket":            {"--collector.age-buckets=1,+Inf", `"+Inf" is not a number`},
		"a bucket that is no number":    {"--collector.age-buckets=1,NaN", `"NaN" is not a number`},
		"negative processes":            {"--collector.max-processes=-1", `--collector.max-processes: "-1" is not a whole number of at least 0`},
		"negative services":             {"--collector.max-services=-1", `--collector.max-services: "-1"`},
		"half a request":                {"--web.max-requests=1.5", `--web.max-requests: "1.5" is not a whole number`},
		"negative requests":             {"--web.max-requests=-1", `of at least 0`},
		"no CPU":                        {"--runtime.gomaxprocs=0", `--runtime.gomaxprocs: "0" is not a whole number of at least 1`},
		"metrics on the landing page":   {"--web.telemetry-path=/", `--web.telemetry-path: "/" is taken`},
		"metrics without slash":         {"--web.telemetry-path=metrics", `does not begin with a slash: write "/metrics"`},
		"an empty /proc":                {"--path.procfs=", `--path.procfs: is empty`},
		"an unknown level":              {"--log.level=loud", `use debug, info, warn or error`},
		"an unknown format":             {"--log.format=xml", `use logfmt or json`},
		"an unknown output":             {"list --output=xml", `use table or json`},
		"an unknown flag":               {"--collector.pids", `unknown long flag '--collector.pids'`},
		"an unknown command":            {"kill", `unexpected kill`},
		"a flag of another command":     {"list --web.telemetry-path=/x", `unknown long flag '--web.telemetry-path'`},
		"an unreadable web config":      {"--web.config.file=/nonexistent/web.yml", `/nonexistent/web.yml: no such file or directory: give a file as described in`},
		"a bad web config":              {"--web.config.file=main_test.go", `--web.config.file=main_test.go: yaml`},
		"an empty address":              {"--web.listen-address=", `--web.listen-address is empty: give an address such as :10052`},
		"an address without port":       {"--web.listen-address=localhost", `missing port in address: give --web.listen-address`},
		"no systemd socket":             {"--web.systemd-socket", `start through a .socket unit`},
		"no /proc":                      {"--path.procfs=testdata", `testdata is no proc file system`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			command, f, err := parseFlags(strings.Fields(test.args))
			if err == nil && command == serveCommand {
				err = serve(t.Context(), f, log.NewNopLogger(), slog.New(slog.DiscardHandler))
			}
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error is %v, want %q in it", err, test.want)
			}
		})
	}
}

func TestNoMoreCPUsAreUsedThanThereAre(t *testing.T) {
	_, f, err := parseFlags([]string{"--runtime.gomaxprocs=99999999"}) // the runtime would try for minutes
	if err != nil {
		t.Fatal(err)
	}
	if most := runtime.NumCPU(); f.gomaxprocs != most || f.kernel.Workers != most {
		t.Errorf("uses %d CPUs and %d workers, want %d of both", f.gomaxprocs, f.kernel.Workers, most)
	}
}
