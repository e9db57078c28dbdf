package procfs

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"closewait_exporter/kernel/host"
)

// parseEffectiveUID returns the effective user id from a /proc/PID/status, as the user namespace of
// the reader numbers it.
//
// The line reads "Uid:" and the real, effective, saved and file system id, each after a tab. The
// name of the process precedes it, and the process chooses the name. The kernel escapes newlines in
// the name (proc_task_name in fs/proc/array.c), so that it cannot form a line of its own. As no
// line after Uid holds a string of the process, the last match is the right one in any case.
func parseEffectiveUID(data []byte) (uint32, error) {
	const field = "\nUid:\t"
	at := bytes.LastIndex(data, []byte(field))
	if at < 0 {
		return 0, fmt.Errorf("%w status: no user ids", host.ErrMalformed)
	}
	line, _, _ := bytes.Cut(data[at+len(field):], []byte{'\n'})
	_, rest, _ := bytes.Cut(line, []byte{'\t'})
	effective, _, whole := bytes.Cut(rest, []byte{'\t'})
	uid, err := strconv.ParseUint(string(effective), 10, 32)
	if err != nil || !whole {
		return 0, fmt.Errorf("%w status: effective user id %q", host.ErrMalformed, effective)
	}
	return uint32(uid), nil
}

// StatusField returns the value of a line of /proc/PID/status, empty if there is no such line. A
// process cannot forge a line with its name, because the kernel escapes newlines in it.
func StatusField(status []byte, name string) string {
	for line := range strings.Lines(string(status)) {
		if value, found := strings.CutPrefix(line, name+":"); found {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
