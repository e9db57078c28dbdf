package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/alecthomas/kingpin/v2"
	"github.com/prometheus/common/version"
	toolkit "github.com/prometheus/exporter-toolkit/web"
	"github.com/prometheus/exporter-toolkit/web/kingpinflag"

	"closewait_exporter/internal/logging"
	"closewait_exporter/kernel"
	"closewait_exporter/web"
)

// The commands.
const (
	serveCommand   = "serve"
	listCommand    = "list"
	explainCommand = "explain"
	checkCommand   = "check-config"
)

// flags are the values of a command line that was found to be right.
type flags struct {
	kernel     kernel.Options
	minAge     time.Duration
	rulesFile  string // of the reaper; empty: there is none
	logLevel   string
	logFormat  string
	gomaxprocs int

	serve struct {
		toolkit       *toolkit.FlagConfig
		telemetryPath string
		maxRequests   int
		ownMetricsOff bool
		maxProcesses  int
		maxServices   int
		ageBuckets    []float64
		pidLabel      bool
		lifecycle     bool
		enforce       bool
		stateFile     string
		auditFile     string
	}
	list struct {
		sockets bool
		output  string
	}
	check struct {
		file string
	}
}

// usageTemplate is that of kingpin with the flags of each command below it, so that --help alone
// shows those of the default command.
var usageTemplate = strings.Replace(kingpin.DefaultUsageTemplate, "{{.Help|Wrap 4}}\n",
	"{{.Help|Wrap 4}}\n{{with .Flags|FlagsToTwoColumns}}{{FormatTwoColumnsWithIndent . 4 2}}{{end}}", 1)

// parseFlags returns the command that was chosen and its flags. It ends the process after --help
// and --version.
func parseFlags(args []string) (command string, f *flags, err error) {
	f = &flags{}
	app := kingpin.New(program, "Prometheus exporter of sockets stuck in CLOSE_WAIT, per process. "+
		"Without a command it serves metrics; list shows the same to a person.")
	app.UsageWriter(os.Stdout)
	app.UsageTemplate(usageTemplate)
	app.Version(version.Print(program))
	app.HelpFlag.Short('h')
	f.addCommon(app)
	f.addServe(app.Command(serveCommand, "Serve metrics over HTTP. This is the default.").Default())
	f.addList(app.Command(listCommand, "Look once, and show which processes leak, the worst first."))
	app.Command(explainCommand, "Look twice, and say of each process which rule of --reaper.config applies, which of its conditions hold, and what would be done. Nothing is.")
	f.addCheck(app.Command(checkCommand, "Tell whether a rules file is valid; if it is not, what is wrong in which line, and how to mend it."))
	command, err = app.Parse(withCommand(args))
	f.gomaxprocs = min(f.gomaxprocs, runtime.NumCPU()) // more only cost memory, each
	f.kernel.Workers = f.gomaxprocs
	if err == nil {
		err = f.checkReaper()
	}
	return command, f, err
}

// checkReaper refuses flags that mean nothing without rules: who gives them expects to be protected.
func (f *flags) checkReaper() error {
	s, flag := &f.serve, ""
	switch {
	case f.rulesFile != "":
		return nil
	case s.enforce:
		flag = "--reaper.enforce"
	case s.stateFile != "":
		flag = "--reaper.state-file"
	case s.auditFile != "":
		flag = "--reaper.audit-file"
	default:
		return nil
	}
	return fmt.Errorf("%s needs rules: give --reaper.config=FILE too", flag)
}

// withCommand puts the default command before a command line that names none. kingpin would take it
// too, but would then forget the error of a flag whose value is missing.
func withCommand(args []string) []string {
	if len(args) == 2 && args[0] == "--completion-bash" && !strings.HasPrefix(args[1], "-") {
		return args[:1] // a shell completes the first word; kingpin only tells the commands when there is none yet
	}
	for _, arg := range args {
		switch arg {
		case serveCommand, listCommand, explainCommand, checkCommand, "help", "--help", "-h":
			return args
		}
	}
	return append([]string{serveCommand}, args...)
}

func (f *flags) addCommon(app *kingpin.Application) {
	define(app, "collector.scanner", "How sockets are read: "+anyOf(kernel.Engines)+". auto takes the best that works.",
		kernel.EngineAuto, &f.kernel.Engine, oneOf(kernel.Engines))
	define(app, "collector.network-namespaces", "Whose sockets are read: "+anyOf(kernel.NamespaceScopes)+".",
		kernel.AllNamespaces, &f.kernel.Namespaces, oneOf(kernel.NamespaceScopes))
	define(app, "collector.min-age", "A process is listed while it has a socket at least so long in CLOSE_WAIT.",
		"1s", &f.minAge, notNegativeDuration)
	define(app, "path.procfs", "Mount point of the proc file system.",
		"/proc", &f.kernel.ProcFS, notEmpty)
	app.Flag("reaper.config", "Rules file of the reaper (docs/REAPER.md). Without it there is no reaper.").
		StringVar(&f.rulesFile)
	define(app, "log.level", "Least severity of what is logged: "+anyOf(logging.Levels)+".",
		"info", &f.logLevel, oneOf(logging.Levels))
	define(app, "log.format", "Format of the log: "+anyOf(logging.Formats)+".",
		"logfmt", &f.logFormat, oneOf(logging.Formats))
	define(app, "runtime.gomaxprocs", "Number of CPUs to use at the same time, at most as many as there are.",
		"1", &f.gomaxprocs, atLeast(1))
}

func (f *flags) addServe(cmd *kingpin.CmdClause) {
	s := &f.serve
	s.toolkit = kingpinflag.AddFlags(cmd, ":10052")
	define(cmd, "web.telemetry-path", "Path of the metrics.",
		"/metrics", &s.telemetryPath, telemetryPath)
	define(cmd, "web.max-requests", "So many scrapes are answered at the same time, 0 = no limit.",
		"4", &s.maxRequests, atLeast(0))
	cmd.Flag("web.disable-exporter-metrics", "Leave out the metrics of the exporter itself: go_*, process_*, promhttp_*.").
		BoolVar(&s.ownMetricsOff)
	cmd.Flag("web.enable-lifecycle", "Let POST /-/reload read the rules file anew, as SIGHUP does.").
		BoolVar(&s.lifecycle)
	define(cmd, "collector.max-processes", "So many processes get series of their own, the worst.",
		"100", &s.maxProcesses, atLeast(0))
	define(cmd, "collector.max-services", "So many services of a process get series of their own, those with most sockets.",
		"10", &s.maxServices, atLeast(0))
	define(cmd, "collector.age-buckets", "Upper bounds of the age histograms in seconds, ascending.",
		"1,10,60,300,900,3600,21600,86400", &s.ageBuckets, ascending)
	cmd.Flag("collector.pid-label", "Tell processes apart by pid; without it they are added up by group.").
		Default("true").BoolVar(&s.pidLabel)
	cmd.Flag("reaper.enforce", "Let rules with mode: enforce act. Without it all are in dry run.").
		BoolVar(&s.enforce)
	cmd.Flag("reaper.state-file", "Keeps cooldowns and what was spent of the limits over a restart.").
		StringVar(&s.stateFile)
	cmd.Flag("reaper.audit-file", "Gets a line of JSON for each decision to act and each step; what cannot be written there is not done.").
		StringVar(&s.auditFile)
}

func (f *flags) addCheck(cmd *kingpin.CmdClause) {
	cmd.Arg("file", "Rules file.").Required().StringVar(&f.check.file)
}

func (f *flags) addList(cmd *kingpin.CmdClause) {
	cmd.Flag("sockets", "A line for each socket with all its fields, instead of one for each process.").
		BoolVar(&f.list.sockets)
	define(cmd, "output", "How it is written: "+anyOf(outputs)+". docs/LIST.md describes the JSON.",
		tableOutput, &f.list.output, oneOf(outputs))
}

func telemetryPath(value string) (string, error) {
	return value, web.CheckTelemetryPath(value)
}
