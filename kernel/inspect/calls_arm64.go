package inspect

import "golang.org/x/sys/unix"

// Not every architecture has this call.
func init() { calls[unix.SYS_ACCEPT] = callInfo{"accept", oneDescriptor} }
