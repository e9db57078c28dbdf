package inspect

import (
	"bytes"
	"strconv"

	"golang.org/x/sys/unix"
)

// waitKind is where a system call says for what it waits.
type waitKind uint8

const (
	noDescriptor  waitKind = iota
	oneDescriptor          // the first argument
	pollSet                // an array of struct pollfd in memory: address and length
	selectSet              // bit sets in memory: number of bits, address
	epollSet               // the descriptors of the epoll instance that is the first argument
)

// callInfo describes a system call.
type callInfo struct {
	name string
	kind waitKind
}

// calls are the system calls in which threads wait, by number. Other numbers have no name here.
var calls = map[uint64]callInfo{
	unix.SYS_READ: {"read", oneDescriptor}, unix.SYS_READV: {"readv", oneDescriptor}, unix.SYS_RECVFROM: {"recvfrom", oneDescriptor},
	unix.SYS_RECVMSG: {"recvmsg", oneDescriptor}, unix.SYS_RECVMMSG: {"recvmmsg", oneDescriptor},
	unix.SYS_WRITE: {"write", oneDescriptor}, unix.SYS_WRITEV: {"writev", oneDescriptor}, unix.SYS_SENDTO: {"sendto", oneDescriptor},
	unix.SYS_SENDMSG: {"sendmsg", oneDescriptor}, unix.SYS_CONNECT: {"connect", oneDescriptor}, unix.SYS_FLOCK: {"flock", oneDescriptor},
	unix.SYS_ACCEPT4: {"accept4", oneDescriptor}, unix.SYS_FSYNC: {"fsync", oneDescriptor}, unix.SYS_FDATASYNC: {"fdatasync", oneDescriptor},
	unix.SYS_PPOLL: {"ppoll", pollSet}, unix.SYS_PSELECT6: {"pselect6", selectSet}, unix.SYS_EPOLL_PWAIT: {"epoll_pwait", epollSet},
	unix.SYS_EPOLL_PWAIT2: {"epoll_pwait2", epollSet},
	unix.SYS_FUTEX:        {"futex", noDescriptor}, unix.SYS_NANOSLEEP: {"nanosleep", noDescriptor},
	unix.SYS_CLOCK_NANOSLEEP: {"clock_nanosleep", noDescriptor}, unix.SYS_WAIT4: {"wait4", noDescriptor},
	unix.SYS_WAITID: {"waitid", noDescriptor}, unix.SYS_RT_SIGSUSPEND: {"rt_sigsuspend", noDescriptor},
	unix.SYS_RT_SIGTIMEDWAIT: {"rt_sigtimedwait", noDescriptor}, unix.SYS_IO_URING_ENTER: {"io_uring_enter", noDescriptor},
	unix.SYS_OPENAT: {"openat", noDescriptor}, unix.SYS_RESTART_SYSCALL: {"restart_syscall", noDescriptor},
}

// call is what a thread does in the kernel: a line of /proc/PID/task/TID/syscall.
type call struct {
	number    uint64
	arguments [6]uint64
	known     bool // it is in a system call, whose number has a meaning here
}

// parseCall parses "NUMBER ARG0 ... ARG5 SP PC", where all but the number are hexadecimal. Other
// lines are "running" and, outside of a system call, "-1 SP PC". The numbers of a program for
// 32-bit processors mean other calls: its stack is below 4 GiB, where that of no other program is.
func parseCall(line []byte) (c call) {
	const fields, stack = 9, 7
	words := bytes.Fields(line)
	if len(words) != fields {
		return call{}
	}
	number, err := strconv.ParseUint(string(words[0]), 10, 32)
	if err != nil {
		return call{}
	}
	c.number = number
	for i := 1; i <= stack; i++ {
		value, err := strconv.ParseUint(string(bytes.TrimPrefix(words[i], []byte("0x"))), 16, 64)
		if err != nil {
			return call{}
		}
		if i < stack {
			c.arguments[i-1] = value
		} else if value>>32 == 0 {
			return call{}
		}
	}
	c.known = true
	return c
}

// info describes the call; the name is empty if the call is not in the table.
func (c *call) info() callInfo {
	if !c.known {
		return callInfo{}
	}
	return calls[c.number]
}
