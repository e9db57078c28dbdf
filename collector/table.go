package collector

import "slices"

// Type is the type of a metric, as OpenMetrics names it.
type Type string

// The types in use. The classic text format has no gauge histogram and shows one as a histogram.
const (
	Counter        Type = "counter"
	Gauge          Type = "gauge"
	Histogram      Type = "histogram"
	GaugeHistogram Type = "gaugehistogram"
)

// Metric is a row of the table of all metrics.
type Metric struct {
	Name   string
	Type   Type
	Labels []string // pid and comm fall away when Options.PIDLabel is false
	Help   string
}

// Metrics returns the table of all metrics of the exporter but go_*, process_* and promhttp_*.
// Documents, dashboards and alerts are tested against it.
func Metrics() []Metric { return slices.Clone(table) }

// metric is an index into the table.
type metric int

var table []Metric // filled by define, in the order of the definitions below

// define adds a row to the table.
func define(name string, typ Type, labels []string, help string) metric {
	table = append(table, Metric{name, typ, labels, help})
	return metric(len(table) - 1)
}

// ofProcess returns the labels of a metric of a process.
func ofProcess(further ...string) []string {
	return append([]string{"group", "pid", "comm"}, further...)
}

// The host.
var (
	hostSockets = define("closewait_sockets", Gauge, []string{"family", "owner"},
		"Sockets in CLOSE_WAIT on this host, each counted once, by address family and by what is known of the owner.")
	hostDuration = define("closewait_socket_duration_seconds", Histogram, nil,
		"Time in CLOSE_WAIT, at least, of the sockets that were seen to leave it.")
	hostNamespaces = define("closewait_network_namespaces", Gauge, nil,
		"Network namespaces whose sockets were read in this scan.")
)

// Processes that hold sockets, or listeners with sockets that nobody has accepted. But for what is
// said of defunct ones and of ages, all of it is about sockets in CLOSE_WAIT.
var (
	processSockets = define("closewait_process_sockets", Gauge, ofProcess(),
		"Sockets in CLOSE_WAIT that the process has a descriptor for.")
	processUnread = define("closewait_process_sockets_by_unread", Gauge, ofProcess("unread"),
		"Held sockets by what the process has not read: none (it saw the end of file and did not close), fin (only the end of file), data.")
	processService = define("closewait_process_sockets_by_service", Gauge, ofProcess("direction", "port"),
		"Held sockets by direction and service port: the local port of inbound, the remote port of outbound connections. Rare ports are added up as other.")
	processUnaccepted = define("closewait_process_unaccepted_sockets", Gauge, ofProcess(),
		"Sockets in CLOSE_WAIT in the accept queues of the listeners of the process.")
	processDefunct = define("closewait_process_defunct_sockets", Gauge, ofProcess(),
		"Sockets that were connected once, are in state CLOSE and in no socket table, and that the process has a descriptor for. Absent where nobody can say.")
	processShared = define("closewait_process_shared_sockets", Gauge, ofProcess(),
		"Held sockets that another process holds as well.")
	processKeepalive = define("closewait_process_keepalive_sockets", Gauge, ofProcess(),
		"Held sockets with an armed keepalive timer.")
	processLocalPeer = define("closewait_process_local_peer_sockets", Gauge, ofProcess(),
		"Held sockets whose peer is on this host.")
	processRemotes = define("closewait_process_remote_addresses", Gauge, ofProcess(),
		"Distinct remote addresses of the held sockets.")
	processTopRemote = define("closewait_process_top_remote_ratio", Gauge, ofProcess(),
		"Share of the held sockets that have the most frequent remote network, a /24 of IPv4 or a /64 of IPv6; 0 where none is held.")
	processAge = define("closewait_process_socket_age_seconds", GaugeHistogram, ofProcess(),
		"Age, at least, of the sockets that are there now: held, unaccepted and defunct.")
	processOldest = define("closewait_process_oldest_socket_age_seconds", Gauge, ofProcess(),
		"Age, at least, of the oldest socket, held, unaccepted or defunct.")
	processRecvQueue = define("closewait_process_recv_queue_bytes", Gauge, ofProcess(),
		"Payload that the peers have sent on held sockets and the process has not read.")
	processSendQueue = define("closewait_process_send_queue_bytes", Gauge, ofProcess(),
		"Payload that the process has written to held sockets and the peers have not acknowledged.")
	processEntered = define("closewait_process_sockets_entered_total", Counter, ofProcess(),
		"Sockets, held and unaccepted, that were seen to come to the process in CLOSE_WAIT.")
	processLeft = define("closewait_process_sockets_left_total", Counter, ofProcess(),
		"Sockets, held and unaccepted, that were seen to leave the process or CLOSE_WAIT, also those that became defunct.")
	processOpenFDs = define("closewait_process_open_fds", Gauge, ofProcess(),
		"Open file descriptors of the process, of every kind.")
	processMaxFDs = define("closewait_process_max_fds", Gauge, ofProcess(),
		"Soft limit of open file descriptors of the process.")
	processStart = define("closewait_process_start_time_seconds", Gauge, ofProcess(),
		"Start time of the process since the Unix epoch.")
	processInfo = define("closewait_process_info", Gauge,
		ofProcess("exe", "user", "unit", "container", "pod", "netns"),
		"What else is known of the process; always 1.")
	processesOmitted = define("closewait_processes_omitted", Gauge, nil,
		"Processes that were to be listed and for which there was no room.")
	socketsOmitted = define("closewait_sockets_omitted", Gauge, nil,
		"Sockets of the omitted processes that no listed process has, each counted once.")
)

// The exporter itself.
var (
	scanSuccess = define("closewait_scan_success", Gauge, nil,
		"Whether the scan for this scrape succeeded (1) or failed or took too long (0).")
	scanDuration = define("closewait_scan_duration_seconds", Gauge, nil,
		"Duration of the scan; after a failure how long the scrape waited for it.")
	scanErrors = define("closewait_scan_errors_total", Counter, []string{"stage", "reason"},
		"Errors during scans by stage and reason. Most of them do not stop the scan.")
	scannerInfo = define("closewait_scanner_info", Gauge, []string{"scanner"},
		"The engine that reads the sockets; always 1.")
	ownerCoverage = define("closewait_owner_coverage_ratio", Gauge, nil,
		"Share of the accepted sockets about whose owner something is known, 1 where there are none.")
	// The version collector of client_golang publishes this one; the row is for the documents.
	_ = define("closewait_exporter_build_info", Gauge,
		[]string{"branch", "goarch", "goos", "goversion", "revision", "tags", "version"},
		"A metric with a constant '1' value labeled by version, revision, branch, goversion from which closewait_exporter was built, and the goos and goarch for the build.")
)
