package procfs

import (
	"bytes"
	"fmt"
	"strconv"

	"closewait_exporter/closewait"
	"closewait_exporter/kernel/host"
)

// maxOpenFiles begins the line of RLIMIT_NOFILE in /proc/PID/limits (fs/proc/base.c).
var maxOpenFiles = []byte("Max open files ")

// parseMaxOpenFiles returns the soft limit of open descriptors from a /proc/PID/limits. It is
// closewait.UnlimitedFDs for "unlimited".
func parseMaxOpenFiles(data []byte) (uint64, error) {
	for line := range bytes.Lines(data) {
		rest, found := bytes.CutPrefix(line, maxOpenFiles)
		if !found {
			continue
		}
		// The hard limit follows, so a soft limit without a space after it was cut short.
		soft, _, whole := bytes.Cut(bytes.TrimLeft(rest, " "), []byte{' '})
		if string(soft) == "unlimited" && whole {
			return closewait.UnlimitedFDs, nil
		}
		limit, err := strconv.ParseUint(string(soft), 10, 64)
		if err != nil || !whole {
			return 0, fmt.Errorf("%w limits: soft limit %q of open files", host.ErrMalformed, soft)
		}
		return limit, nil
	}
	return 0, fmt.Errorf("%w limits: no line of open files", host.ErrMalformed)
}
