package fdscan

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"closewait_exporter/kernel/host"
)

// A ring of io_uring has a file table of its own: a socket that was accepted into it, or registered
// there, is in no descriptor table. fdinfo of the ring lists the files.
const (
	ringLink = "anon_inode:[io_uring]" // of the descriptor of a ring

	maxRings     = 64      // of a process that are read
	maxRingInfo  = 1 << 20 // bytes of a fdinfo that are read: about 30,000 files
	maxRingTries = 3       // fdinfo omits the files while a thread submits requests
)

// readRings finds the wanted sockets in the file tables of the rings that readTable has met. Their
// handles have no number: only the process itself can use such a socket.
func (r *tableReader) readRings(process host.Directory) (err error) {
	for _, ring := range r.rings[:min(len(r.rings), maxRings)] {
		listed, failed := false, error(nil)
		for try := 0; try < maxRingTries && !listed && failed == nil; try++ {
			listed, failed = r.readRing(process, ring.infoPath())
		}
		if failed != nil && !host.Vanished(failed) {
			err = failed
		}
	}
	return err
}

// readRing reads the fdinfo of a ring. listed is false if it does not list the files.
func (r *tableReader) readRing(process host.Directory, path string) (listed bool, err error) {
	fd, err := unix.Openat(int(process), path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return false, fmt.Errorf("open %s: %w", path, err)
	}
	file := os.NewFile(uintptr(fd), path)
	defer file.Close()
	listed, err = eachRingSocket(io.LimitReader(file, maxRingInfo), func(inode uint64) {
		if r.wanted.mayContain(inode) {
			r.inodes, r.handles = append(r.inodes, inode), append(r.handles, Handle{Number: NoDescriptor})
		}
	})
	if err != nil {
		return false, fmt.Errorf("read %s: %w", path, err)
	}
	return listed, nil
}

// eachRingSocket calls f with the inode of each socket in the fdinfo of a ring: in the section
// UserFiles, as in "    0: socket:[4711]" (io_uring/fdinfo.c). The kernel escapes newlines in names
// of files.
func eachRingSocket(info io.Reader, f func(inode uint64)) (listed bool, err error) {
	lines := bufio.NewReader(info)
	inFiles, tooLong := false, false
	for {
		line, err := lines.ReadSlice('\n')
		whole := err == nil && !tooLong
		tooLong = errors.Is(err, bufio.ErrBufferFull) // a long path: no socket
		switch {
		case errors.Is(err, io.EOF):
			return listed, nil // a line without an end was cut short
		case err != nil && !tooLong:
			return listed, err
		case !whole:
			continue
		}
		if 'A' <= line[0] && line[0] <= 'Z' {
			inFiles = bytes.HasPrefix(line, []byte("UserFiles:"))
			listed = listed || inFiles
			continue
		}
		_, target, _ := bytes.Cut(line[:len(line)-1], []byte(": "))
		if inode, isSocket := host.ParseLink(target, "socket"); isSocket && inFiles {
			f(inode)
		}
	}
}

// infoPath is the path of the fdinfo of the descriptor below the directory of the process.
func (h Handle) infoPath() string {
	path := "fdinfo/" + strconv.Itoa(int(h.Number))
	if h.Thread != 0 {
		path = "task/" + strconv.Itoa(int(h.Thread)) + "/" + path
	}
	return path
}
