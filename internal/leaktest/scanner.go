package leaktest

import "os"

// ScannerVariable names the scanner that exporters under test are to use, such as procfs. Where it is
// empty they choose for themselves.
const ScannerVariable = "CLOSEWAIT_SCANNER"

// ScannerFlags are arguments for an exporter under test.
func ScannerFlags() []string {
	if scanner := os.Getenv(ScannerVariable); scanner != "" {
		return []string{"--collector.scanner=" + scanner}
	}
	return nil
}

// TablesOnly tells whether exporters under test read nothing but /proc/PID/net/tcp, which knows neither cookies
// nor times.
func TablesOnly() bool { return os.Getenv(ScannerVariable) == "procfs" }
