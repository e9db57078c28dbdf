// Package leaktest gives tests and benchmarks real leaking processes, and a second opinion on them:
// cmd/leak as it says of itself (package truth) and ss as the kernel says of it. It imports testing:
// only tests may import it.
package leaktest
