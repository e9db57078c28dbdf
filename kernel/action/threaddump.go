package action

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"

	"closewait_exporter/kernel/host"
	"closewait_exporter/kernel/procfs"
)

// ErrNotJVM reports that a process might not answer SIGQUIT with a thread dump. Most other programs
// would end, also Go programs, although they have a handler for it.
var ErrNotJVM = errors.New("not a Java virtual machine that prints thread dumps")

// ThreadDump sends SIGQUIT to a process if it is a HotSpot JVM that handles signals. The JVM writes
// the dump to its standard output.
func (h *ProcessHandle) ThreadDump(ctx context.Context) error {
	if err := h.verifyJVM(ctx); err != nil {
		return fmt.Errorf("thread dump of process %d: %w", h.id.PID, err)
	}
	return h.Signal("QUIT")
}

// verifyJVM checks properties that only such a JVM combines. Any program can call itself java, and
// an embedded JVM shares its signals with a program that handles them in an unknown way.
func (h *ProcessHandle) verifyJVM(ctx context.Context) error {
	err := h.withDirectory(isJava)
	if err != nil {
		return host.GoneIfVanished(err)
	}
	mapped, err := host.CallWithTimeout(ctx, h.executor.shortCalls, func(ctx context.Context) (bool, error) {
		mapped := false
		err := h.withDirectory(func(dir host.Directory) (err error) {
			mapped, err = procfs.MapsLibrary(ctx, dir, "libjvm.so")
			return err
		})
		return mapped, err
	})
	switch {
	case err != nil:
		return fmt.Errorf("find libjvm.so: %w", host.GoneIfVanished(err))
	case !mapped:
		return fmt.Errorf("%w: libjvm.so is not mapped", ErrNotJVM)
	}
	// Last, because an exec(2) changes everything and removes the handler.
	return host.GoneIfVanished(h.withDirectory(handlesQuit))
}

func isJava(dir host.Directory) error {
	var target [unix.PathMax]byte
	exe, err := dir.Readlink("exe", target[:])
	if err != nil {
		return err
	}
	exe = bytes.TrimSuffix(exe, []byte(" (deleted)")) // the JDK was updated
	if path.Base(string(exe)) != "java" {
		return fmt.Errorf("%w: the program is %s", ErrNotJVM, exe)
	}
	return nil
}

// handlesQuit returns nil if HotSpot handles SIGQUIT: the signal is caught, and the thread exists
// that does the work of HotSpot's handler. With -Xrs (-XX:+ReduceSignalUsage) that thread does not
// exist, and a handler belongs to something else. Reads of these files cannot block, unlike reads
// of the command line.
func handlesQuit(dir host.Directory) error {
	status, err := dir.Read("status", nil)
	if err != nil {
		return err
	}
	caught, err := strconv.ParseUint(procfs.StatusField(status, "SigCgt"), 16, 64)
	if err != nil {
		return fmt.Errorf("%w signals that are caught: %w", host.ErrMalformed, err)
	}
	if caught&(1<<(unix.SIGQUIT-1)) == 0 {
		return fmt.Errorf("%w: SIGQUIT is not caught, as with -Xrs, or it has just started", ErrNotJVM)
	}
	const dispatcher = "Signal Dispatch" // "Signal Dispatcher", cut to the 15 bytes of a comm
	names, err := threadNames(dir)
	if err == nil && !slices.Contains(names, dispatcher) {
		err = fmt.Errorf("%w: it has no signal dispatcher thread, as with -Xrs", ErrNotJVM)
	}
	return err
}

func threadNames(dir host.Directory) ([]string, error) {
	threads, err := host.OpenDirectory(dir, "task")
	if err != nil {
		return nil, err
	}
	defer threads.Close()
	var names []string
	buf := make([]byte, 64)
	err = threads.Each(make([]byte, host.EntriesSize), func(tid []byte) {
		if comm, err := threads.Read(string(tid)+"/comm", buf); err == nil { // else ended meanwhile
			names = append(names, string(bytes.TrimSuffix(comm, []byte("\n"))))
		}
	})
	return names, err
}
