package inspect

import "golang.org/x/sys/unix"

// The older calls that only this architecture still has.
func init() {
	calls[unix.SYS_POLL] = callInfo{"poll", pollSet}
	calls[unix.SYS_SELECT] = callInfo{"select", selectSet}
	calls[unix.SYS_EPOLL_WAIT] = callInfo{"epoll_wait", epollSet}
	calls[unix.SYS_PAUSE] = callInfo{"pause", noDescriptor}
	calls[unix.SYS_ACCEPT] = callInfo{"accept", oneDescriptor}
}
