// Package logging makes the two loggers of the exporter, which write the same lines: go-kit/log for
// our own code and slog for libraries that take nothing else.
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

// timestampLayout is RFC 3339 with milliseconds, as the other Prometheus exporters have it.
const timestampLayout = "2006-01-02T15:04:05.000Z07:00"

// New returns loggers that write to w what is at least as severe as the level, with time and caller.
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
	return kit, slog.New(slgk.NewGoKitHandler(likeKit{base}, slogLevel)), nil
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

// likeKit gives the records of slog-gokit the shape of our own lines: it writes the time as time=,
// in the local zone and after the caller; ours is ts=, in UTC and before it.
type likeKit struct{ next log.Logger }

// Log moves the time to its place, under its name.
func (l likeKit) Log(pairs ...any) error {
	const afterLevel = 2
	for i := afterLevel; i+1 < len(pairs); i += 2 {
		if at, ok := pairs[i+1].(time.Time); ok && pairs[i] == slog.TimeKey {
			rest := slices.Delete(slices.Clone(pairs), i, i+2)
			return l.next.Log(slices.Insert(rest, afterLevel, "ts", any(at.UTC().Format(timestampLayout)))...)
		}
	}
	return l.next.Log(pairs...)
}
