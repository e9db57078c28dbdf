// Package logging makes the two loggers of the exporter, which write lines of the same format:
// go-kit/log for our own code, and slog for libraries that require it.
package logging

import (
	"fmt"
	"io"
	"log/slog"
	"slices"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"
	slgk "github.com/tjhop/slog-gokit"
)

// Levels and Formats are the values that New takes, for flags.
var (
	Levels  = []string{"debug", "info", "warn", "error"}
	Formats = []string{"logfmt", "json"}
)

// timestampLayout is RFC 3339 with milliseconds, as in other Prometheus exporters.
const timestampLayout = "2006-01-02T15:04:05.000Z07:00"

// New returns loggers that write messages of at least the minimum level to w, with time and caller.
func New(w io.Writer, minimum, format string) (log.Logger, *slog.Logger, error) {
	base, err := newBase(w, format)
	if err != nil {
		return nil, nil, err
	}
	var slogLevel slog.Level
	allowed, err := level.Parse(minimum)
	if err != nil || slogLevel.UnmarshalText([]byte(minimum)) != nil {
		return nil, nil, fmt.Errorf("unknown log level %q: use one of %q", minimum, Levels)
	}
	filtered := level.NewFilter(base, level.Allow(allowed))
	now := log.TimestampFormat(func() time.Time { return time.Now().UTC() }, timestampLayout)
	kit := log.With(filtered, "ts", now, "caller", log.DefaultCaller)
	return kit, slog.New(slgk.NewGoKitHandler(kitFormat{base}, slogLevel)), nil
}

func newBase(w io.Writer, format string) (log.Logger, error) {
	w = log.NewSyncWriter(w)
	switch format {
	case "logfmt":
		return log.NewLogfmtLogger(w), nil
	case "json":
		return log.NewJSONLogger(w), nil
	}
	return nil, fmt.Errorf("unknown log format %q: use one of %q", format, Formats)
}

// kitFormat converts the records of slog-gokit to our format. It writes time= in the local zone
// after the caller; we write ts= in UTC before the caller.
type kitFormat struct{ next log.Logger }

// Log moves and renames the time.
func (l kitFormat) Log(pairs ...any) error {
	const afterLevel = 2
	for i := afterLevel; i+1 < len(pairs); i += 2 {
		if at, ok := pairs[i+1].(time.Time); ok && pairs[i] == slog.TimeKey {
			rest := slices.Delete(slices.Clone(pairs), i, i+2)
			return l.next.Log(slices.Insert(rest, afterLevel, "ts", any(at.UTC().Format(timestampLayout)))...)
		}
	}
	return l.next.Log(pairs...)
}
