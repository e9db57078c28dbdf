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

// Metric is a row of the table of metrics.
type Metric struct {
	Name   string
	Type   Type
	Labels []string // without pid and comm if Options.PIDLabel is false
	Help   string
}

// Metrics returns the table of all metrics except go_*, process_* and promhttp_*. Tests compare
// documents, dashboards and alerts with it.
func Metrics() []Metric { return slices.Clone(table) }

// metric is an index into the table.
type metric int

var table []Metric // filled by define, in the order of the definitions below

// define adds a row to the table.
func define(name string, typ Type, labels []string, help string) metric {
	table = append(table, Metric{name, typ, labels, help})
	return metric(len(table) - 1)
}

// ofProcess returns the labels of a process metric.
func ofProcess(further ...string) []string {
	return append([]string{"group", "pid", "comm"}, further...)
}

// The host.
var (
	hostSockets = define("closewait_sockets", Gauge, []string{"family", "owner"},
		"Sockets on this host whose connection has ended, by address family and owner, each counted once.")
	hostDuration = define("closewait_socket_duration_seconds", Histogram, nil,
		"Time (lower bound) from the end of a connection until its socket was closed.")
	hostNamespaces = define("closewait_network_namespaces", Gauge, nil,
		"Network namespaces whose sockets were read in this scan.")
)

// Processes that hold sockets, or listeners with unaccepted sockets. Unless the help says
// otherwise, these metrics count ended sockets: those in states close_wait and closed.
var (
	processSockets = define("closewait_process_sockets", Gauge, ofProcess("state"),
		"Held sockets whose connection has ended: close_wait (the peer has closed, the process has not), closed (reset, timed out or destroyed; in no socket table). Absent for a state that the scanner does not see.")
	processOther = define("closewait_process_other_sockets", Gauge, ofProcess("state"),
		"Other held sockets without a live connection: fin_wait2 (the process has shut down its side, the peer has not), unconnected (never connected). Absent for a state that the scanner does not see.")
	processUnread = define("closewait_process_sockets_by_unread", Gauge, ofProcess("unread"),
		"Held sockets in close_wait by what the process has not read: none (it has read the end of file and did not close), fin (only the end of file), data.")
	processService = define("closewait_process_sockets_by_service", Gauge, ofProcess("direction", "port"),
		"Held ended sockets by direction and service port: the local port of inbound, the remote port of outbound connections. Rare ports, and all ports of unknown direction, are summed as other.")
	processUnaccepted = define("closewait_process_unaccepted_sockets", Gauge, ofProcess(),
		"Sockets in CLOSE_WAIT in the accept queues of the process's listeners. At most, where live connections wait too and another process listens on the same port with a queue that is not empty.")
	processShared = define("closewait_process_shared_sockets", Gauge, ofProcess(),
		"Held ended sockets that another process also holds.")
	processKeepalive = define("closewait_process_keepalive_sockets", Gauge, ofProcess(),
		"Held ended sockets with an armed keepalive timer.")
	processLocalPeer = define("closewait_process_local_peer_sockets", Gauge, ofProcess(),
		"Held ended sockets whose peer is on this host.")
	processRemotes = define("closewait_process_remote_addresses", Gauge, ofProcess(),
		"Distinct remote addresses of the held ended sockets.")
	processTopRemote = define("closewait_process_top_remote_ratio", Gauge, ofProcess(),
		"Share of the held ended sockets that belong to the most frequent remote network (IPv4 /24, IPv6 /64); 0 if no socket is held.")
	processAge = define("closewait_process_socket_age_seconds", GaugeHistogram, ofProcess(),
		"Time (lower bound) since the end of the connections of the ended and unaccepted sockets.")
	processOldest = define("closewait_process_oldest_socket_age_seconds", Gauge, ofProcess(),
		"Time (lower bound) since the end of the connection of the oldest ended or unaccepted socket.")
	processOld = define("closewait_process_old_sockets", Gauge, ofProcess(),
		"Held sockets whose connection ended more than 5 minutes ago.")
	processActive = define("closewait_process_active_sockets", Gauge, ofProcess(),
		"Held sockets whose connection ended more than 5 minutes ago and on which data has moved within the last 5 minutes: the process still sends to a peer that has closed its half.")
	processRecvQueue = define("closewait_process_recv_queue_bytes", Gauge, ofProcess(),
		"Payload on held ended sockets that the process has not read.")
	processSendQueue = define("closewait_process_send_queue_bytes", Gauge, ofProcess(),
		"Payload on held ended sockets that the peers have not acknowledged.")
	processEntered = define("closewait_process_sockets_entered_total", Counter, ofProcess(),
		"Held ended sockets that came to the process: their connection ended, they were accepted, or another process passed them on.")
	processLeft = define("closewait_process_sockets_left_total", Counter, ofProcess(),
		"Ended sockets that the process no longer holds. A socket that goes from close_wait to closed has not left.")
	processOpenFDs = define("closewait_process_open_fds", Gauge, ofProcess(),
		"Open file descriptors of the process.")
	processMaxFDs = define("closewait_process_max_fds", Gauge, ofProcess(),
		"Soft limit of open file descriptors of the process.")
	processPorts = define("closewait_process_local_ports_used_ratio", Gauge, ofProcess(),
		"Share of the local ports (lower bound) that ended and half-closed connections of all processes use, from one local address to the remote end to which the process holds most connections, of ip_local_port_range without ip_local_reserved_ports. Absent without a connection that the process has opened, and where it could not be read.")
	processAcceptQueue = define("closewait_process_accept_queue_ratio", Gauge, ofProcess(),
		"Length of the fullest accept queue of the process's listeners, divided by its backlog; 1 if it is full. Absent without a listener, and where it could not be read.")
	processStart = define("closewait_process_start_time_seconds", Gauge, ofProcess(),
		"Start time of the process, in seconds since the Unix epoch.")
	processInfo = define("closewait_process_info", Gauge,
		ofProcess("exe", "user", "unit", "container", "pod", "netns"),
		"Information about the process; always 1.")
	processesOmitted = define("closewait_processes_omitted", Gauge, nil,
		"Processes not exported because of --collector.max-processes.")
	socketsOmitted = define("closewait_sockets_omitted", Gauge, nil,
		"Sockets of the omitted processes that no exported process holds, each counted once.")
)

// The exporter itself.
var (
	scanSuccess = define("closewait_scan_success", Gauge, nil,
		"Whether the scan for this scrape succeeded (1), or failed or timed out (0).")
	scanDuration = define("closewait_scan_duration_seconds", Gauge, nil,
		"Duration of the scan; after a failure, how long the scrape waited for it.")
	scanErrors = define("closewait_scan_errors_total", Counter, []string{"stage", "reason"},
		"Errors during scans by stage and reason. Most of them do not stop the scan.")
	scannerInfo = define("closewait_scanner_info", Gauge, []string{"scanner"},
		"The scanner in use; always 1.")
	ownerCoverage = define("closewait_owner_coverage_ratio", Gauge, nil,
		"Share of the accepted sockets with a known owner; 1 if there are none.")
	// The version collector of client_golang exports this metric; the row is for the tests of
	// documents.
	_ = define("closewait_exporter_build_info", Gauge,
		[]string{"branch", "goarch", "goos", "goversion", "revision", "tags", "version"},
		"A metric with a constant '1' value labeled by version, revision, branch, goversion from which closewait_exporter was built, and the goos and goarch for the build.")
)
