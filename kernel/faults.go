package kernel

import (
	"context"
	"errors"
	"maps"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"closewait_exporter/closewait"
)

// The stages of a scan, as in closewait_scan_errors_total.
const (
	stageProcesses = "processes" // listing /proc
	stageNamespace = "namespace" // finding and entering network namespaces
	stageSockets   = "sockets"   // reading the sockets of a namespace
	stageOwners    = "owners"    // looking for the holders of sockets
	stageFacts     = "facts"     // reading who a holder is
)

// The reasons why a stage failed.
const (
	reasonDenied    = "denied"    // EACCES, EPERM
	reasonLimit     = "limit"     // out of descriptors or memory: EMFILE, ENFILE, ENOMEM, ENOBUFS
	reasonTimeout   = "timeout"   // the kernel did not answer in time
	reasonMalformed = "malformed" // an answer that makes no sense
	reasonOther     = "other"
)

// faults counts what went wrong, by kind. All kinds are there from the start, at zero.
type faults struct {
	mu     sync.Mutex
	counts map[closewait.ScanError]uint64
}

func newFaults() *faults {
	f := &faults{counts: map[closewait.ScanError]uint64{}}
	for _, stage := range []string{stageProcesses, stageNamespace, stageSockets, stageOwners, stageFacts} {
		for _, reason := range []string{reasonDenied, reasonLimit, reasonTimeout, reasonMalformed, reasonOther} {
			f.counts[closewait.ScanError{Stage: stage, Reason: reason}] = 0
		}
	}
	return f
}

// add counts an error of a stage, if there is one. What has vanished meanwhile is no fault, nor is a
// scan that was called off.
func (f *faults) add(stage string, err error) {
	if err == nil || vanished(err) || errors.Is(err, context.Canceled) {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.counts[closewait.ScanError{Stage: stage, Reason: reasonOf(err)}]++
}

func (f *faults) snapshot() map[closewait.ScanError]uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return maps.Clone(f.counts)
}

func reasonOf(err error) string {
	switch {
	case denied(err):
		return reasonDenied
	case errors.Is(err, unix.EMFILE), errors.Is(err, unix.ENFILE), errors.Is(err, unix.ENOMEM), errors.Is(err, unix.ENOBUFS):
		return reasonLimit
	case errors.Is(err, unix.EAGAIN), errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return reasonTimeout
	case errors.Is(err, errMalformed):
		return reasonMalformed
	}
	return reasonOther
}

// short tells whether we ran out of descriptors or memory of our own: what was found then says nothing
// of the host.
func short(err error) bool { return err != nil && reasonOf(err) == reasonLimit }

// vanished tells whether an error means that the process has ended meanwhile, or (ENXIO, of a table in
// /proc/PID/net) the last one in its network namespace.
func vanished(err error) bool {
	return errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ESRCH) || errors.Is(err, unix.ENXIO)
}

func denied(err error) bool {
	return errors.Is(err, unix.EACCES) || errors.Is(err, unix.EPERM)
}
