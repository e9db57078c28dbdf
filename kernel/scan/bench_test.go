package scan_test

import (
	"testing"
	"time"

	"closewait_exporter/internal/leaktest"
	"closewait_exporter/kernel/scan"
)

// BenchmarkScan measures a repeated scan of a host with 2,000 sockets in CLOSE_WAIT, by each
// scanner.
func BenchmarkScan(b *testing.B) {
	leaktest.RequireRoot(b)
	leaktest.Start(b, "--sockets=2000")
	for _, name := range scan.Scanners[1:] {
		b.Run(name, func(b *testing.B) {
			s := mustOpen(b, name)
			defer s.Close()
			for range 3 { // until all owners are known
				if _, err := s.Scan(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.Scan(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkFirstScan measures the first scan by each scanner, which has to find all owners.
func BenchmarkFirstScan(b *testing.B) {
	leaktest.RequireRoot(b)
	leaktest.Start(b, "--sockets=2000")
	for _, name := range scan.Scanners[1:] {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				s := mustOpen(b, name)
				b.StartTimer()
				if _, err := s.Scan(b.Context()); err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				s.Close()
				b.StartTimer()
			}
		})
	}
}

func mustOpen(b *testing.B, name string) *hostScanner {
	b.Helper()
	s, err := open(scan.Options{Scanner: name, Refresh: time.Hour})
	if err != nil {
		b.Fatal(err)
	}
	return s
}
