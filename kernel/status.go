package kernel

import (
	"bytes"
	"fmt"
	"strconv"
)

// parseEffectiveUID returns the effective user id from a /proc/PID/status, as the user namespace of
// the reader numbers it.
//
// The line reads "Uid:", real, effective, saved and file system id, each after a tab. The name of
// the process stands before it, and the process chooses it. The kernel escapes newlines in it
// (proc_task_name in fs/proc/array.c), so that it cannot make a line of its own; as none of the lines
// after Uid holds a foreign string, the last one that looks like it is the right one in any case.
func parseEffectiveUID(data []byte) (uint32, error) {
	const field = "\nUid:\t"
	at := bytes.LastIndex(data, []byte(field))
	if at < 0 {
		return 0, fmt.Errorf("%w status: no user ids", ErrMalformed)
	}
	line, _, _ := bytes.Cut(data[at+len(field):], []byte{'\n'})
	_, rest, _ := bytes.Cut(line, []byte{'\t'})
	effective, _, whole := bytes.Cut(rest, []byte{'\t'})
	uid, err := strconv.ParseUint(string(effective), 10, 32)
	if err != nil || !whole {
		return 0, fmt.Errorf("%w status: effective user id %q", ErrMalformed, effective)
	}
	return uint32(uid), nil
}
