package web

import (
	"context"
	"fmt"
	"net/http"
	"path"
	"regexp"
	"strings"

	"github.com/go-kit/log"
	"github.com/prometheus/client_golang/prometheus"
)

// The paths that are always there.
const (
	HealthyPath   = "/-/healthy"
	ReadyPath     = "/-/ready"
	DocumentsPath = "/docs/"
	ProcessPath   = "/process"
	ProcessesPath = "/api/v1/processes"

	rootPath   = "/"
	reloadPath = "/-/reload"
)

// Options of the handler.
type Options struct {
	TelemetryPath          string       // checked by CheckTelemetryPath
	MaxRequests            int          // maximum number of concurrent scrapes, of concurrent pages, and of requests to the API; 0 = no limit
	WithoutExporterMetrics bool         // leave out go_*, process_* and promhttp_*
	Page                   http.Handler // for /
	Process                http.Handler // for ProcessPath
	API                    http.Handler // for ProcessesPath
	Documents              http.Handler // for the paths below DocumentsPath, which it is given without it
	Gatherer               func(context.Context) prometheus.Gatherer
	Probe                  func(context.Context) error // observes the host and reports to Health
	Health                 *Health
	Reload                 func() error // nil: there is nothing to reload, or it is not enabled
	Logger                 log.Logger
}

// NewHandler returns the handler of all paths. It answers only GET and HEAD, except for the reload.
func NewHandler(o Options) http.Handler {
	mux := http.NewServeMux()
	pages := newPages(o)
	mux.Handle("GET "+rootPath+"{$}", pages)
	mux.Handle("GET "+ProcessPath, pages)
	mux.Handle("GET "+o.TelemetryPath, newMetrics(o))
	mux.Handle("GET "+DocumentsPath, http.StripPrefix(strings.TrimSuffix(DocumentsPath, "/"), o.Documents))
	mux.Handle("GET "+ProcessesPath, newAPI(o))
	mux.HandleFunc("GET "+HealthyPath, serveHealthy)
	mux.HandleFunc("GET "+ReadyPath, serveReady(o.Health, o.Probe))
	if o.Reload != nil {
		// A web page that the browser of an administrator shows must not be able to reload.
		mux.Handle("POST "+reloadPath, http.NewCrossOriginProtection().Handler(serveReload(o.Reload)))
	}
	return mux
}

// serveReload reloads and answers with the result.
func serveReload(reload func() error) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		if err := reload(); err != nil {
			http.Error(w, "reload failed, the previous rules stay in force: "+err.Error(), http.StatusInternalServerError)
			return
		}
		fmt.Fprintln(w, "OK")
	}
}

// pathCharacters are the characters without a special meaning in URLs, patterns and HTML.
var pathCharacters = regexp.MustCompile(`^[A-Za-z0-9/._~-]+$`)

// CheckTelemetryPath returns an error if a path cannot be used for metrics.
func CheckTelemetryPath(telemetry string) error {
	switch {
	case telemetry == rootPath, telemetry == HealthyPath, telemetry == ReadyPath, telemetry == reloadPath,
		telemetry == ProcessPath, telemetry == ProcessesPath:
		return fmt.Errorf("%q is taken: choose another path, such as /metrics", telemetry)
	case telemetry == "" || telemetry[0] != '/':
		return fmt.Errorf("%q does not begin with a slash: use %q", telemetry, "/"+telemetry)
	case path.Clean(telemetry) != telemetry:
		return fmt.Errorf("%q is not in its shortest form: use %q", telemetry, path.Clean(telemetry))
	case !pathCharacters.MatchString(telemetry):
		return fmt.Errorf("%q has characters that need escaping in a URL: use letters, digits and /._~-", telemetry)
	}
	return nil
}
