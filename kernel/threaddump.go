package kernel

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"

	"closewait_exporter/kernel/host"
	"closewait_exporter/kernel/procfs"

	"golang.org/x/sys/unix"
)

// ErrNoJVM says that a process is not known for sure to answer SIGQUIT with a thread dump. Any other
// program would be ended by it, Go programs included, though they have a handler for it.
var ErrNoJVM = errors.New("not a Java virtual machine that prints thread dumps")

// ThreadDump sends SIGQUIT to a process after it has made sure that this is a HotSpot JVM with its
// signal handling on. The dump goes to the standard output of the JVM.
func (g *Grip) ThreadDump(ctx context.Context) error {
	if err := g.verifyJVM(ctx); err != nil {
		return fmt.Errorf("thread dump of process %d: %w", g.id.PID, err)
	}
	return g.Signal("QUIT")
}

// verifyJVM looks at what only such a JVM has all of. A program that calls itself java can be
// anything, and an embedded JVM shares its signals with a program that is not known.
func (g *Grip) verifyJVM(ctx context.Context) error {
	err := g.inDirectory(isJava)
	if err != nil {
		return host.GoneIfVanished(err)
	}
	mapped, err := patiently(ctx, g.hands.short, func(ctx context.Context) (bool, error) {
		mapped := false
		err := g.inDirectory(func(dir host.Directory) (err error) {
			mapped, err = procfs.MapsLibrary(ctx, dir, "libjvm.so")
			return err
		})
		return mapped, err
	})
	switch {
	case err != nil:
		return fmt.Errorf("look for libjvm.so: %w", host.GoneIfVanished(err))
	case !mapped:
		return fmt.Errorf("%w: libjvm.so is not mapped", ErrNoJVM)
	}
	// Last, as an exec(2) changes everything, and takes the handler away.
	return host.GoneIfVanished(g.inDirectory(handlesQuit))
}

func isJava(dir host.Directory) error {
	var target [unix.PathMax]byte
	exe, err := dir.Readlink("exe", target[:])
	if err != nil {
		return err
	}
	exe = bytes.TrimSuffix(exe, []byte(" (deleted)")) // the JDK was updated
	if path.Base(string(exe)) != "java" {
		return fmt.Errorf("%w: the program is %s", ErrNoJVM, exe)
	}
	return nil
}

// handlesQuit tells whether SIGQUIT goes to the handler of HotSpot: it is caught, and there is the
// thread that does what the handler asks for, which -Xrs (-XX:+ReduceSignalUsage) leaves out. A handler
// without it is that of somebody else. These files cannot hang, unlike the command line.
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
		return fmt.Errorf("%w: SIGQUIT is not caught, as with -Xrs, or it has just started", ErrNoJVM)
	}
	const dispatcher = "Signal Dispatch" // "Signal Dispatcher", cut to the 15 bytes of a comm
	names, err := threadNames(dir)
	if err == nil && !slices.Contains(names, dispatcher) {
		err = fmt.Errorf("%w: it has no signal dispatcher thread, as with -Xrs", ErrNoJVM)
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
	err = threads.Each(make([]byte, 32<<10), func(tid []byte) {
		if comm, err := threads.Read(string(tid)+"/comm", buf); err == nil { // else ended meanwhile
			names = append(names, string(bytes.TrimSuffix(comm, []byte("\n"))))
		}
	})
	return names, err
}
