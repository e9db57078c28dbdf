// Package reaper acts on leaking processes: in rounds it lets package policy decide, and carries
// each decision out as a remediation, the mildest step first. It records every action before it
// happens, and knows nothing of Linux: its Executors are given to it.
package reaper
