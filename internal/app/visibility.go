package app

import (
	"strings"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"

	"closewait_exporter/closewait"
)

// logVisibility logs the scanner in use and, as a warning, what it cannot see and why.
func logVisibility(logger log.Logger, v closewait.Visibility) {
	line := []any{"msg", "Scanning this host", "scanner", v.Scanner, "network_namespaces", v.Namespaces}
	if v.Fallback != "" {
		line = append(line, "fallback", v.Fallback)
	}
	var missing []string
	for _, m := range v.Missing {
		missing = append(missing, m.String())
	}
	if len(missing) > 0 {
		line = append(line, "missing", strings.Join(missing, "; "))
	}
	if v.Fallback != "" || len(missing) > 0 {
		logger = level.Warn(logger)
	} else {
		logger = level.Info(logger)
	}
	logger.Log(line...)
}
