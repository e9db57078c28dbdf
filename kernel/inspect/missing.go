package inspect

import (
	"fmt"
	"strings"

	"closewait_exporter/kernel/host"
)

// missing notes what could not be read.
func (r *reading) missing(what string, err error) {
	if err == nil {
		return
	}
	r.facts.Missing = append(r.facts.Missing, missingLine(r.Host, what, err))
}

// missingLine says for people what could not be read, and why.
func missingLine(h *host.Host, what string, err error) string {
	line := fmt.Sprintf("Not read: %s: %v", what, err)
	if host.Denied(err) {
		scope, _ := h.Proc.Read("sys/kernel/yama/ptrace_scope", nil) // without Yama there is none
		line += ": " + permission(string(scope))
	}
	return line + "."
}

// permission says how to get the right to read a process, with a value of kernel.yama.ptrace_scope.
func permission(scope string) string {
	const root = "run as root, or with CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH"
	switch strings.TrimSpace(scope) {
	case "3": // not even for root (Documentation/admin-guide/LSM/Yama.rst)
		return "kernel.yama.ptrace_scope=3 forbids it until the next boot"
	case "1", "2":
		return root + ": kernel.yama.ptrace_scope=" + strings.TrimSpace(scope) + " forbids it to other processes, also of the same user"
	}
	return root
}
