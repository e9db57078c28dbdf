package action

import (
	"fmt"
	"os"

	"closewait_exporter/closewait"
	"closewait_exporter/kernel/host"
	"closewait_exporter/kernel/procfs"
)

// ProcessHandle is an open process. Its methods affect this process or no process, even after
// another process has got its pid. It is safe for concurrent use.
type ProcessHandle struct {
	executor  *Executor
	id        closewait.ProcessID
	pidfd     *os.File
	directory *os.File // /proc/PID, which stays bound to the process as the pidfd does
}

// Open opens a process. It fails with closewait.ErrGone if the process has ended, is a zombie, or
// if another process has its pid.
//
// The start time is checked after the pidfd was opened, so that no other process can take the pid
// in between. It counts in ticks of 10 ms, and two processes can have the same pid within one tick.
// Verify distinguishes those by their sockets.
func (e *Executor) Open(id closewait.ProcessID) (*ProcessHandle, error) {
	pidfd, err := openPidfd(id.PID)
	if err != nil {
		return nil, err
	}
	h := &ProcessHandle{executor: e, id: id, pidfd: pidfd}
	if err := h.openDirectory(); err != nil {
		h.Close()
		return nil, fmt.Errorf("process %d: %w", id.PID, err)
	}
	return h, nil
}

// openDirectory opens /proc/PID and compares the start time. If the process of the pidfd lives
// afterwards, its pid was not free in the meantime, so the directory belongs to the same process.
func (h *ProcessHandle) openDirectory() error {
	dir, err := h.executor.host.OpenProcess(h.id)
	if err != nil {
		return host.GoneIfVanished(err)
	}
	h.directory = os.NewFile(uintptr(dir), "process")
	return h.requireAlive()
}

// ID returns the identity of the process.
func (h *ProcessHandle) ID() closewait.ProcessID { return h.id }

// Close closes the handle. It may be called more than once.
func (h *ProcessHandle) Close() {
	h.pidfd.Close()
	if h.directory != nil {
		h.directory.Close()
	}
}

// Describe reads the current facts of the process, which can change with an exec(2).
func (h *ProcessHandle) Describe() (closewait.Process, error) {
	p, _, err := procfs.NewDescriber(h.executor.host).Describe(h.id, procfs.Known{})
	if err == nil {
		err = h.requireAlive()
	}
	if err != nil {
		return closewait.Process{}, fmt.Errorf("describe process %d: %w", h.id.PID, host.GoneIfVanished(err))
	}
	return p, nil
}

// Cgroup returns the path of the control group in which systemd keeps the process.
func (h *ProcessHandle) Cgroup() (path string, err error) {
	err = h.withDirectory(func(dir host.Directory) error {
		data, err := dir.Read("cgroup", nil)
		path = procfs.SystemdCgroup(data)
		return err
	})
	if err == nil {
		err = h.requireAlive()
	}
	if err != nil {
		return "", fmt.Errorf("control group of process %d: %w", h.id.PID, host.GoneIfVanished(err))
	}
	return path, nil
}

// requireAlive returns closewait.ErrGone if the process has ended.
func (h *ProcessHandle) requireAlive() error {
	exited, err := h.Exited()
	if err == nil && exited {
		return closewait.ErrGone
	}
	return err
}

// WithPidfd calls f with the pidfd, which stays open meanwhile.
func (h *ProcessHandle) WithPidfd(f func(fd int) error) error { return withFD(h.pidfd, f) }

// withDirectory calls f with /proc/PID, which stays open meanwhile.
func (h *ProcessHandle) withDirectory(f func(host.Directory) error) error {
	return withFD(h.directory, func(fd int) error { return f(host.Directory(fd)) })
}

// withFD calls f with the descriptor of a file, which stays open meanwhile. It fails with
// os.ErrClosed if the file is closed.
func withFD(file *os.File, f func(fd int) error) error {
	raw, err := file.SyscallConn()
	if err != nil {
		return err
	}
	if raw.Control(func(fd uintptr) { err = f(int(fd)) }) != nil {
		return os.ErrClosed
	}
	return err
}
