package leaktest

import (
	"os"
	"slices"
	"strings"
)

// ScannerVariable is the environment variable with the scanner that exporters under test use, such
// as procfs. Where it is empty they use the default.
const ScannerVariable = "CLOSEWAIT_SCANNER"

// WithScanner adds the scanner to the arguments for an exporter under test, unless they name a
// scanner, or another mount point of /proc, which not every scanner supports.
func WithScanner(args ...string) []string {
	scanner := os.Getenv(ScannerVariable)
	named := slices.ContainsFunc(args, func(arg string) bool {
		return strings.HasPrefix(arg, "--collector.scanner=") || strings.HasPrefix(arg, "--path.procfs=")
	})
	if scanner == "" || named {
		return args
	}
	return append(slices.Clone(args), "--collector.scanner="+scanner)
}

// TablesOnly reports whether exporters under test use the procfs scanner: /proc/PID/net/tcp has
// neither cookies nor times.
func TablesOnly() bool { return os.Getenv(ScannerVariable) == "procfs" }
