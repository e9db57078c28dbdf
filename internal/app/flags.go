package app

import (
	"cmp"
	"fmt"
	"io"
	"net/url"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kingpin/v2"
	"github.com/prometheus/common/version"
	"github.com/prometheus/exporter-toolkit/web/kingpinflag"

	"closewait_exporter/check"
	"closewait_exporter/internal/logging"
	"closewait_exporter/kernel/scan"
	"closewait_exporter/report"
	"closewait_exporter/web"
)

// The commands. helped stands for a command line that kingpin has already answered, such as --help.
const (
	serveCommand    = "serve"
	listCommand     = "list"
	diagnoseCommand = "diagnose"
	evidenceCommand = "evidence"
	explainCommand  = "explain"
	checkCommand    = "check"
	configCommand   = "check-config"
	originCommand   = "origin"
	memoryCommand   = "read-memory"  // hidden: the child process of diagnose
	symbolsCommand  = "read-symbols" // hidden: the child process of origin
	helped          = ""
)

var commands = []string{serveCommand, listCommand, diagnoseCommand, evidenceCommand, originCommand, explainCommand, checkCommand, configCommand, memoryCommand, symbolsCommand}

// The values of --output.
const (
	tableOutput = "table"
	jsonOutput  = "json"
)

var outputs = []string{tableOutput, jsonOutput}

// defaultWatch is the interval of --watch without a value.
const defaultWatch = "2s"

// usageTemplate is the template of kingpin, with the flags of each command below the command. So
// --help alone also shows the flags of the default command.
var usageTemplate = strings.Replace(kingpin.DefaultUsageTemplate, "{{.Help|Wrap 4}}\n",
	"{{.Help|Wrap 4}}\n{{with .Flags|FlagsToTwoColumns}}{{FormatTwoColumnsWithIndent . 4 2}}{{end}}", 1)

// parse returns the chosen command and its options. It writes the answers to --help, --version and
// completions of a shell to stdout.
func parse(args []string, stdout io.Writer) (command string, o *options, err error) {
	o = &options{}
	app := kingpin.New(program, "Prometheus exporter for sockets stuck in CLOSE_WAIT, per process. "+
		"The default command serves metrics; list prints the same data for people.")
	answered := false
	app.Terminate(func(int) { answered = true })
	app.UsageWriter(stdout)
	app.UsageTemplate(usageTemplate)
	setVersion()
	app.Version(version.Print(program))
	app.HelpFlag.Short('h')
	o.defineCommon(app)
	o.defineServe(app.Command(serveCommand, "Serve metrics over HTTP. This is the default command.").Default())
	o.defineList(app.Command(listCommand, "Scan this host once and print the leaking processes, worst first."))
	o.defineDiagnose(app.Command(diagnoseCommand, "Say why a process does not close its connections. Exit status: 0 nothing wrong, 2 a verdict, 1 an error."))
	o.defineEvidence(app.Command(evidenceCommand, "Write what is known about a process to a file, before it is restarted."))
	app.Command(memoryCommand, "Read the memory of a process for diagnose.").Hidden()
	o.defineOrigin(app.Command(originCommand, "Trace a process for a time and say which code made the sockets that it leaks."))
	app.Command(symbolsCommand, "Read the symbols of a process for origin.").Hidden()
	o.defineCheck(app.Command(checkCommand, "Check this host as a plugin of Nagios or Icinga: exit status 0, 1, 2 or 3, and performance data."))
	app.Command(explainCommand, "Evaluate the rules against this host and print the result per process. Takes no action.")
	o.defineCheckConfig(app.Command(configCommand, "Check a rules file and print each problem with its line and how to fix it."))
	command, err = app.Parse(withCommand(withWatchInterval(args)))
	if answered {
		return helped, o, nil
	}
	o.limitCPUs()
	if err == nil {
		err = cmp.Or(o.requireRules(), o.checkList(), o.checkFrom())
	}
	return command, o, err
}

// setVersion takes the version from what Go has recorded about the build, unless make build has set
// it. So go install and go build name the version too.
func setVersion() {
	if info, known := debug.ReadBuildInfo(); version.Version == "" && known {
		version.Version = info.Main.Version
	}
}

// withCommand adds the default command to a command line without a command. kingpin would add it
// too, but would then forget the error of a flag whose value is missing.
func withCommand(args []string) []string {
	if len(args) == 2 && args[0] == "--completion-bash" && !strings.HasPrefix(args[1], "-") {
		return args[:1] // the shell completes the first word, and kingpin lists commands only if there is no word
	}
	for _, arg := range args {
		if slices.Contains(commands, arg) || slices.Contains([]string{"help", "--help", "-h"}, arg) {
			return args
		}
	}
	return append([]string{serveCommand}, args...)
}

// withWatchInterval adds the default interval to --watch without a value. kingpin knows no optional
// values.
func withWatchInterval(args []string) []string {
	args = slices.Clone(args)
	for i, arg := range args {
		if arg == "--watch" && (i+1 == len(args) || !isDuration(args[i+1])) {
			args[i] = "--watch=" + defaultWatch
		}
	}
	return args
}

func isDuration(text string) bool {
	_, err := time.ParseDuration(text)
	return err == nil
}

func (o *options) defineCommon(app *kingpin.Application) {
	define(app, "collector.scanner", "Scanner: "+anyOf(scan.Scanners)+". auto selects the best one that works on this host.",
		scan.ScannerAuto, &o.scan.Scanner, oneOf(scan.Scanners))
	define(app, "collector.network-namespaces", "Network namespaces to scan: "+anyOf(scan.NamespaceScopes)+".",
		scan.AllNamespaces, &o.scan.Namespaces, oneOf(scan.NamespaceScopes))
	define(app, "collector.min-age", "Minimum age of a socket before its process is exported.",
		"1s", &o.minAge, notNegativeDuration)
	define(app, "path.procfs", "Mount point of the proc file system.",
		"/proc", &o.procFS, notEmpty)
	app.Flag("reaper.config", "Rules file of the reaper, see docs/REAPER.md. Without it the reaper is off.").
		PlaceHolder("FILE").StringVar(&o.rulesFile)
	app.Flag("cluster.kubeconfig", "Kubeconfig file for rules that need Kubernetes, see docs/FLEET.md. Default: the service account of the pod.").
		PlaceHolder("FILE").StringVar(&o.cluster.kubeconfig)
	app.Flag("cluster.node", "Name of the node in Kubernetes. Default: the environment variable NODE_NAME.").
		Envar("NODE_NAME").PlaceHolder("NAME").StringVar(&o.cluster.node)
	define(app, "log.level", "Minimum severity of log messages: "+anyOf(logging.Levels)+".",
		"info", &o.logLevel, oneOf(logging.Levels))
	define(app, "log.format", "Format of log messages: "+anyOf(logging.Formats)+".",
		"logfmt", &o.logFormat, oneOf(logging.Formats))
	define(app, "runtime.gomaxprocs", "Maximum number of CPUs to use at the same time.",
		"1", &o.gomaxprocs, atLeast(1))
}

func (o *options) defineServe(cmd *kingpin.CmdClause) {
	s := &o.serve
	s.toolkit = kingpinflag.AddFlags(cmd, ":10052")
	define(cmd, "web.telemetry-path", "Path under which to expose metrics.",
		"/metrics", &s.telemetryPath, telemetryPath)
	define(cmd, "web.max-requests", "Maximum number of concurrent scrapes; 0 means no limit.",
		"4", &s.maxRequests, atLeast(0))
	define(cmd, "web.max-connections", "Maximum number of open connections; 0 means as many as the limit of descriptors allows. "+
		"At the maximum, the connection that has been idle longest is closed.",
		"512", &s.maxConnections, atLeast(0))
	cmd.Flag("web.disable-exporter-metrics", "Exclude metrics about the exporter itself (go_*, process_*, promhttp_*). Default: included.").
		BoolVar(&s.ownMetricsOff)
	cmd.Flag("web.dashboard-url", "Address of the Grafana dashboard, to which the page of a process links. Default: no link.").
		PlaceHolder("URL").SetValue(value[string]{"--web.dashboard-url", &s.dashboard, dashboardURL})
	cmd.Flag("web.enable-lifecycle", "Enable POST /-/reload, which reloads the rules file as SIGHUP does. Default: disabled.").
		BoolVar(&s.lifecycle)
	define(cmd, "collector.max-processes", "Maximum number of processes with their own series, worst first.",
		"100", &s.maxProcesses, atLeast(0))
	define(cmd, "collector.max-services", "Maximum number of services per process with their own series, most sockets first.",
		"10", &s.maxServices, atLeast(0))
	define(cmd, "collector.age-buckets", "Upper bounds of the age histograms in seconds, ascending.",
		"1,10,60,300,900,3600,21600,86400", &s.ageBuckets, ascending)
	// For demonstrations and tests of the alerts, which are too slow at the real age.
	cmd.Flag("collector.old-age", "Age above which closewait_process_old_sockets counts a socket.").
		Default("5m").Hidden().DurationVar(&s.oldAge)
	cmd.Flag("collector.pid-label", "Export series per process. If disabled, processes are summed by group. Default: enabled.").
		Default("true").BoolVar(&s.pidLabel)
	cmd.Flag("history.file", "File that keeps the history of leaks across restarts. Default: history.json in $STATE_DIRECTORY, which systemd sets; without both it is lost on restart.").
		PlaceHolder("FILE").StringVar(&s.historyFile)
	cmd.Flag("reaper.enforce", "Let rules in mode enforce act. Default: all rules are in dry run.").
		BoolVar(&s.enforce)
	cmd.Flag("reaper.state-file", "File that keeps cooldowns and the used action budget. Without it both are lost on restart.").
		PlaceHolder("FILE").StringVar(&s.stateFile)
	cmd.Flag("reaper.audit-file", "Append a JSON record per decision and step. If it cannot be written, no action is taken.").
		PlaceHolder("FILE").StringVar(&s.auditFile)
	cmd.Flag("reaper.evidence-dir", "Directory for the files of evidence steps, see docs/EVIDENCE.md.").
		PlaceHolder("DIR").StringVar(&s.evidenceDir)
}

func (o *options) defineCheckConfig(cmd *kingpin.CmdClause) {
	cmd.Arg("file", "Rules file.").Required().StringVar(&o.checkConfig.file)
}

// neverAlerts is a range that no value violates.
const neverAlerts = "~:"

func (o *options) defineCheck(cmd *kingpin.CmdClause) {
	c := &o.check
	define(cmd, "warning-age", "Range of the age of the oldest ended socket, in seconds, outside of which the state is WARNING.",
		"3600", &c.warning.Age, check.ParseRange)
	define(cmd, "critical-age", "The same for CRITICAL. ~: means never.",
		neverAlerts, &c.critical.Age, check.ParseRange)
	define(cmd, "warning-sockets", "Range of the number of ended sockets of one process, outside of which the state is WARNING.",
		"100", &c.warning.Sockets, check.ParseRange)
	define(cmd, "critical-sockets", "The same for CRITICAL.",
		neverAlerts, &c.critical.Sockets, check.ParseRange)
	define(cmd, "warning-fds", "Range of the descriptors in use by one process that list shows, in percent of its limit, outside of which the state is WARNING.",
		"80", &c.warning.FDs, check.ParseRange)
	define(cmd, "critical-fds", "The same for CRITICAL.",
		"95", &c.critical.FDs, check.ParseRange)
	cmd.Flag("warning-time-left", "Range of the seconds until the descriptors of some process run out, outside of which the state is WARNING, such as 14400:. Only with --from.").
		PlaceHolder(neverAlerts).SetValue(value[check.Range]{"--warning-time-left", &c.warning.TimeLeft, check.ParseRange})
	cmd.Flag("critical-time-left", "The same for CRITICAL. Only with --from.").
		PlaceHolder(neverAlerts).SetValue(value[check.Range]{"--critical-time-left", &c.critical.TimeLeft, check.ParseRange})
	c.from.define(cmd)
	cmd.Flag("timeout", "Maximum duration of the check, such as 10 (seconds) or 1m. After it the state is UNKNOWN.").
		Short('t').Default("10s").SetValue(value[time.Duration]{"--timeout", &c.timeout, timeoutOf})
}

// timeoutOf reads a duration, or a number of seconds as other plugins do.
func timeoutOf(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if seconds, e := strconv.Atoi(text); e == nil {
		d, err = time.Duration(seconds)*time.Second, nil
	}
	if err != nil || d <= 0 {
		return 0, fmt.Errorf("%q is not a duration above 0: use for example 10, 10s or 1m", text)
	}
	return d, nil
}

func (o *options) defineList(cmd *kingpin.CmdClause) {
	many(cmd, "pid", "Show only this process; repeatable.", "PID", &o.list.selection.PIDs, atLeast(1))
	many(cmd, "group", "Show only the processes of this group; repeatable.", "GROUP", &o.list.selection.Groups, notEmpty)
	many(cmd, "user", "Show only the processes of this user, by name or number; repeatable.", "USER", &o.list.selection.Users, notEmpty)
	many(cmd, "port", "Show only processes with ended connections of the service with this port; repeatable.", "PORT",
		&o.list.selection.Ports, port)
	cmd.Flag("sort", "Sort by "+anyOf(sortKeys())+". Default: worst first, which is nearest to the limit of descriptors.").
		PlaceHolder("KEY").SetValue(value[*report.Order]{"--sort", &o.list.selection.Order, order})
	define(cmd, "top", "Maximum number of processes to show; 0 means no limit.", "0", &o.list.selection.Top, atLeast(0))
	cmd.Flag("watch", "Repeat the scan at this interval until interrupted, with the growth of each leak and the time until descriptors run out. "+
		"Without a value: "+defaultWatch+".").PlaceHolder(defaultWatch).SetValue(value[time.Duration]{"--watch", &o.list.watch, watchInterval})
	cmd.Flag("fail-if-leaking", "Exit with status 2 if a process is shown that holds ended connections. Default: exit with status 0.").
		BoolVar(&o.list.failIfLeaking)
	cmd.Flag("command", "Add the command lines to the JSON, shortened and without what looks like a secret. Default: only the table has them.").
		BoolVar(&o.list.command)
	cmd.Flag("sockets", "Print a line per socket instead of a line per process. A terminal gets as many columns as fit.").
		BoolVar(&o.list.sockets)
	o.list.from.define(cmd)
	define(cmd, "output", "Output format: "+anyOf(outputs)+". docs/LIST.md describes the JSON.",
		tableOutput, &o.list.output, oneOf(outputs))
}

func (o *options) defineDiagnose(cmd *kingpin.CmdClause) {
	cmd.Arg("pid", "Process to diagnose. Default: the worst process that list shows.").
		SetValue(value[int]{"pid", &o.diagnose.pid, atLeast(1)})
	cmd.Flag("group", "Diagnose the worst process of a group, as list shows it.").
		PlaceHolder("NAME").StringVar(&o.diagnose.group)
	define(cmd, "output", "Output format: "+anyOf(outputs)+". docs/DIAGNOSE.md describes the JSON.",
		tableOutput, &o.diagnose.output, oneOf(outputs))
	cmd.Flag("peek", "Show the first unread line of its connections, without queries and credentials. The process still reads it later.").
		BoolVar(&o.diagnose.peek)
}

func (o *options) defineEvidence(cmd *kingpin.CmdClause) {
	cmd.Arg("pid", "Process to write about.").Required().SetValue(value[int]{"pid", &o.evidence.pid, atLeast(1)})
	cmd.Flag("output-file", "File to write; - is standard output. docs/EVIDENCE.md describes the JSON.").
		Short('o').PlaceHolder("FILE").Required().SetValue(value[string]{"--output-file", &o.evidence.file, fileOrStdout})
	defineForce(cmd, &o.evidence.force)
}

// fileOrStdout reads the name of a file. Of "-o -" kingpin makes an empty value.
func fileOrStdout(text string) (string, error) { return cmp.Or(text, toStdout), nil }

func (o *options) defineOrigin(cmd *kingpin.CmdClause) {
	cmd.Arg("pid", "Process to trace.").Required().
		SetValue(value[int]{"pid", &o.origin.pid, atLeast(1)})
	define(cmd, "for", "Duration of the trace. Only sockets that the process makes meanwhile are seen.",
		"60s", &o.origin.duration, traceDuration)
	cmd.Flag("output-file", "Write the stacks to this file too, for pprof, such as leak.pb.gz.").
		Short('o').PlaceHolder("FILE").StringVar(&o.origin.file)
	define(cmd, "output", "Output format: "+anyOf(outputs)+". docs/ORIGIN.md describes the JSON.",
		tableOutput, &o.origin.output, oneOf(outputs))
	defineForce(cmd, &o.origin.force)
}

func defineForce(cmd *kingpin.CmdClause, force *bool) {
	cmd.Flag("force", "Replace the file if it exists. Default: an error.").BoolVar(force)
}

func telemetryPath(value string) (string, error) {
	return value, web.CheckTelemetryPath(value)
}

// dashboardURL accepts an address that a browser can open, or nothing.
func dashboardURL(value string) (string, error) {
	u, err := url.Parse(value)
	if value != "" && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https") {
		return "", fmt.Errorf("%q is not the address of a page: use for example https://grafana.example/d/closewait", value)
	}
	return value, nil
}
