// Package leaktest gives tests and benchmarks real leaking processes and connections, and two
// independent descriptions of them: what cmd/leak reports (package truth), and what ss reports. It
// imports testing: only tests may import it.
package leaktest
