package kernel

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"
)

// directory is an open directory below /proc. That of a process stays bound to the process: when
// it has ended every use fails with ENOENT or ESRCH, also when another process has its pid by then.
type Directory int

// openDirectory opens a directory by path, or relative to another one.
func OpenDirectory(at Directory, path string) (Directory, error) {
	fd, err := unix.Openat(int(at), path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("open directory %s: %w", path, err)
	}
	return Directory(fd), nil
}

// openProcess opens /proc/PID; its descriptor serves as a handle only and reads nothing.
func (d Directory) OpenPID(pid int) (Directory, error) {
	fd, err := unix.Openat(int(d), strconv.Itoa(pid), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("open process %d: %w", pid, err)
	}
	return Directory(fd), nil
}

func (d Directory) Close() {
	_ = unix.Close(int(d)) // nothing was written: there is nothing to lose
}

// read reads a whole file into buf, which it grows when it must.
func (d Directory) Read(name string, buf []byte) ([]byte, error) {
	fd, err := unix.Openat(int(d), name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return buf[:0], fmt.Errorf("open %s: %w", name, err)
	}
	defer unix.Close(fd)
	buf = buf[:0]
	for {
		if len(buf) == cap(buf) {
			buf = append(buf, make([]byte, max(4096, cap(buf)))...)[:len(buf)]
		}
		n, err := RetryEINTR(func() (int, error) { return unix.Read(fd, buf[len(buf):cap(buf)]) })
		if err != nil {
			return buf[:0], fmt.Errorf("read %s: %w", name, err)
		}
		if n == 0 {
			return buf, nil
		}
		buf = buf[:len(buf)+n]
	}
}

// readlink reads a symbolic link into buf; a target that does not fit is cut.
func (d Directory) Readlink(name string, buf []byte) ([]byte, error) {
	n, err := unix.Readlinkat(int(d), name, buf)
	if err != nil {
		return nil, fmt.Errorf("readlink %s: %w", name, err)
	}
	return buf[:n], nil
}

// each calls f with the name of every entry, which is valid until f returns; the byte behind the
// name is NUL, so that it can go to the kernel as it is (see link). buf takes getdents(2) output.
func (d Directory) Each(buf []byte, f func(name []byte)) error {
	for {
		n, err := RetryEINTR(func() (int, error) { return unix.Getdents(int(d), buf) })
		if err != nil {
			return fmt.Errorf("list directory: %w", err)
		}
		if n == 0 {
			return nil
		}
		if err := eachEntry(buf[:n], f); err != nil {
			return fmt.Errorf("list directory: %w", err)
		}
	}
}

// eachEntry calls f with the names in a series of struct linux_dirent64. Names that begin with a dot
// are left out.
func eachEntry(entries []byte, f func(name []byte)) error {
	const reclen, start = 16, 19 // offsets of d_reclen and d_name
	for len(entries) > 0 {
		if len(entries) <= start {
			return fmt.Errorf("%w entry: %d bytes left", ErrMalformed, len(entries))
		}
		size := int(binary.NativeEndian.Uint16(entries[reclen:]))
		if size <= start || size > len(entries) {
			return fmt.Errorf("%w entry: length %d, %d bytes left", ErrMalformed, size, len(entries))
		}
		end := bytes.IndexByte(entries[start:size], 0)
		if end < 0 {
			return fmt.Errorf("%w entry: its name does not end", ErrMalformed)
		}
		if end > 0 && entries[start] != '.' {
			f(entries[start : start+end])
		}
		entries = entries[size:]
	}
	return nil
}

// eachDescriptor calls look with the name of every entry of /proc/PID/fd, as each does. To list them costs a fourth
// of a walk, and is spared where there are many and their numbers have few gaps: look is then also called with names that
// do not exist, for which it returns false.
func (d Directory) listDescriptors(buf []byte, look func(name []byte) (open bool)) error {
	const many, gaps, dots = 128, 64, 2
	var st unix.Stat_t
	if err := unix.Fstat(int(d), &st); err != nil {
		return fmt.Errorf("count descriptors: %w", err)
	}
	next := int64(0)
	if st.Size >= many { // the number of descriptors, from Linux 6.2 on
		name := make([]byte, 0, 24)
		for found := int64(0); found < st.Size && next < found+gaps; next++ {
			name = append(strconv.AppendInt(name[:0], next, 10), 0)
			if look(name[:len(name)-1]) {
				found++
			}
		}
		if _, err := unix.Seek(int(d), dots+next, unix.SEEK_SET); err != nil { // proc_readfd_common in fs/proc/fd.c
			return fmt.Errorf("list directory: %w", err)
		}
	}
	return d.Each(buf, func(name []byte) { look(name) })
}

// numbers returns the entries that are numbers: pids, thread ids or descriptors.
func (d Directory) Numbers(buf []byte) ([]int, error) {
	var list []int
	err := d.Each(buf, func(name []byte) {
		if n, ok := ParseNumber(name); ok {
			list = append(list, int(n))
		}
	})
	return list, err
}

// link reads the link of an entry that each has just handed out. One call a descriptor is where the
// time of a walk goes: it allocates nothing and, as these links cannot hang, spares the Go scheduler.
func (d Directory) Link(entry, buf []byte) ([]byte, error) {
	n, _, errno := unix.RawSyscall6(unix.SYS_READLINKAT, uintptr(d), uintptr(unsafe.Pointer(&entry[0])),
		uintptr(unsafe.Pointer(&buf[0])), uintptr(len(buf)), 0, 0)
	if errno != 0 {
		return nil, errno
	}
	return buf[:n], nil
}

// stat returns what stat(2) says of an entry, following links.
func (d Directory) Stat(name string) (unix.Stat_t, error) {
	var st unix.Stat_t
	if err := unix.Fstatat(int(d), name, &st, 0); err != nil {
		return st, fmt.Errorf("stat %s: %w", name, err)
	}
	return st, nil
}

// unlessEnded is the error of something that was attempted on a process or thread, whose directory is
// named, but the one of it having ended where that is the reason: the kernel then refuses to read some
// links, as if that were not permitted (proc_pid_readlink, proc_ns_readlink in fs/proc).
func (d Directory) UnlessEnded(process string, err error) error {
	if !Denied(err) {
		return err
	}
	if _, gone := d.Stat(process + "/stat"); Vanished(gone) {
		return gone
	}
	return err
}

func RetryEINTR(f func() (int, error)) (int, error) {
	for {
		n, err := f()
		if !errors.Is(err, unix.EINTR) {
			return n, err
		}
	}
}

// parseNumber parses decimal digits and nothing else.
func ParseNumber(digits []byte) (n uint64, ok bool) {
	if len(digits) == 0 || len(digits) > 19 {
		return 0, false
	}
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + uint64(c-'0')
	}
	return n, true
}

// bracketed parses the number in links such as "socket:[123]" and "net:[4026531840]".
func ParseLink(link []byte, prefix string) (n uint64, ok bool) {
	rest, ok := bytes.CutPrefix(link, []byte(prefix+":["))
	if !ok || !bytes.HasSuffix(rest, []byte("]")) {
		return 0, false
	}
	return ParseNumber(rest[:len(rest)-1])
}
