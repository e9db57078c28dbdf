package kernel

import "closewait_exporter/kernel/procfs"

// CommandLines reads the command lines of processes.
type CommandLines = procfs.CommandLines

// NewCommandLines returns a reader for the processes of the host that the Scanner reads. The Scanner
// must not be closed before the last read has ended.
func NewCommandLines(s *Scanner) *CommandLines { return procfs.NewCommandLines(s.host) }
