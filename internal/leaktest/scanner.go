package leaktest

import (
	"os"
	"slices"
	"strings"
)

// ScannerVariable names the scanner that exporters under test are to use, such as procfs. Where it is
// empty they choose for themselves.
const ScannerVariable = "CLOSEWAIT_SCANNER"

// WithScanner adds the scanner to the arguments for an exporter under test, unless these name one, or another
// mount point of /proc, with which not every scanner works.
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

// TablesOnly tells whether exporters under test read nothing but /proc/PID/net/tcp, which knows neither cookies
// nor times.
func TablesOnly() bool { return os.Getenv(ScannerVariable) == "procfs" }
