package app

import (
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"time"

	toolkit "github.com/prometheus/exporter-toolkit/web"

	"closewait_exporter/check"
	"closewait_exporter/cluster"
	"closewait_exporter/kernel/scan"
	"closewait_exporter/report"
)

// options are the values of a valid command line.
type options struct {
	procFS     string // mount point of the proc file system
	scan       scan.Options
	minAge     time.Duration
	rulesFile  string // of the reaper; empty: there is no reaper
	logLevel   string
	logFormat  string
	gomaxprocs int

	cluster clusterOptions

	serve struct {
		documents      fs.FS  // of this version, at their places in the repository
		dashboard      string // address of the dashboard; empty: there is none
		toolkit        *toolkit.FlagConfig
		telemetryPath  string
		maxRequests    int
		maxConnections int
		ownMetricsOff  bool
		maxProcesses   int
		maxServices    int
		ageBuckets     []float64
		oldAge         time.Duration
		pidLabel       bool
		historyFile    string // empty: see historyPath
		lifecycle      bool
		enforce        bool
		stateFile      string
		auditFile      string
		evidenceDir    string
	}
	list struct {
		sockets       bool
		command       bool // in the JSON too
		output        string
		selection     report.Selection
		watch         time.Duration // 0: list once
		failIfLeaking bool
		from          remoteOptions
	}
	diagnose struct {
		pid    int // 0: not given
		group  string
		output string
		peek   bool
	}
	evidence struct {
		pid   int
		file  string
		force bool
	}
	origin struct {
		pid      int
		duration time.Duration
		file     string // for pprof; empty: none
		force    bool   // replace the file
		output   string
	}
	check struct {
		warning, critical check.Thresholds
		timeout           time.Duration
		from              remoteOptions
	}
	checkConfig struct {
		file string
	}
}

// clusterOptions say how Kubernetes is reached, if the rules need it.
type clusterOptions struct {
	kubeconfig string // empty: the service account of the pod
	node       string // that the exporter runs on; empty: unknown
}

func (o *clusterOptions) connection() cluster.Connection {
	return cluster.Connection{Kubeconfig: o.kubeconfig}
}

// limitCPUs limits GOMAXPROCS to the number of CPUs: more would only cost memory.
func (o *options) limitCPUs() {
	o.gomaxprocs = min(o.gomaxprocs, runtime.NumCPU())
	o.scan.Workers = o.gomaxprocs
}

// requireRules refuses flags of the reaper without a rules file. A user who gives them expects a
// reaper to run.
func (o *options) requireRules() error {
	s, flag := &o.serve, ""
	switch {
	case o.rulesFile != "":
		return nil
	case s.enforce:
		flag = "--reaper.enforce"
	case s.stateFile != "":
		flag = "--reaper.state-file"
	case s.auditFile != "":
		flag = "--reaper.audit-file"
	case s.evidenceDir != "":
		flag = "--reaper.evidence-dir"
	default:
		return nil
	}
	return fmt.Errorf("%s needs rules: give --reaper.config=FILE too", flag)
}

// checkFrom refuses flags that do not go together with --from, or only with it.
func (o *options) checkFrom() error {
	l, c := &o.list, &o.check
	switch {
	case l.from.url == nil && l.from.httpConfig != "", c.from.url == nil && c.from.httpConfig != "":
		return errors.New("--from.http-config has no effect: give --from too")
	case l.from.url != nil && l.sockets:
		return errors.New("--sockets needs a scan of this host, an exporter sends processes only: leave one of --sockets and --from out")
	case l.from.url != nil && l.command:
		return errors.New("--command needs the processes of this host, an exporter sends no command lines: leave one of --command and --from out")
	case l.from.url != nil && o.rulesFile != "":
		return errors.New("--reaper.config needs this host, to compare rules with its processes: leave one of --reaper.config and --from out")
	case c.from.url == nil && c.warning.TimeLeft.String()+c.critical.TimeLeft.String() != "":
		return errors.New("--warning-time-left and --critical-time-left need to know the past: give --from too")
	}
	return nil
}

// checkList refuses flags of list that do not go together.
func (o *options) checkList() error {
	l := &o.list
	order := l.selection.Order
	switch {
	case l.watch == 0 && l.from.url == nil && order != nil && (order.Key == "rate" || order.Key == "left"):
		return fmt.Errorf("--sort=%s needs more than one scan: give --watch or --from too", order.Key)
	case l.watch > 0 && l.failIfLeaking:
		return errors.New("--watch has no end, so --fail-if-leaking has no effect: give one of them")
	case l.watch > 0 && l.sockets && l.output == tableOutput:
		return errors.New("--watch shows processes: leave --sockets out, or add --output=json")
	}
	return nil
}
