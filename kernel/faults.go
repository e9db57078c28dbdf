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

// The stages of a scan, as in closewait_scan_faults_total.
const (
	StageProcesses = "processes" // listing /proc
	StageNamespace = "namespace" // finding and entering network namespaces
	StageSockets   = "sockets"   // reading the sockets of a namespace
	StageOwners    = "owners"    // looking for the holders of sockets
	StageFacts     = "facts"     // reading who a holder is
)

// The reasons why a stage failed.
const (
	ReasonDenied    = "denied"    // EACCES, EPERM
	ReasonLimit     = "limit"     // out of descriptors or memory: EMFILE, ENFILE, ENOMEM, ENOBUFS
	ReasonTimeout   = "timeout"   // the kernel did not answer in time
	ReasonMalformed = "malformed" // an answer that makes no sense
	ReasonOther     = "other"
)

// faults counts what went wrong, by kind. All kinds are there from the start, at zero.
type ScanErrors struct {
	mu     sync.Mutex
	counts map[closewait.ScanError]uint64
}

func NewScanErrors() *ScanErrors {
	f := &ScanErrors{counts: map[closewait.ScanError]uint64{}}
	for _, stage := range []string{StageProcesses, StageNamespace, StageSockets, StageOwners, StageFacts} {
		for _, reason := range []string{ReasonDenied, ReasonLimit, ReasonTimeout, ReasonMalformed, ReasonOther} {
			f.counts[closewait.ScanError{Stage: stage, Reason: reason}] = 0
		}
	}
	return f
}

// add counts an error of a stage, if there is one. What has vanished meanwhile is no fault, nor is a
// scan that was called off.
func (f *ScanErrors) Add(stage string, err error) {
	if err == nil || Vanished(err) || errors.Is(err, context.Canceled) {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.counts[closewait.ScanError{Stage: stage, Reason: reasonOf(err)}]++
}

func (f *ScanErrors) Snapshot() map[closewait.ScanError]uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return maps.Clone(f.counts)
}

func reasonOf(err error) string {
	switch {
	case Denied(err):
		return ReasonDenied
	case errors.Is(err, unix.EMFILE), errors.Is(err, unix.ENFILE), errors.Is(err, unix.ENOMEM), errors.Is(err, unix.ENOBUFS):
		return ReasonLimit
	case errors.Is(err, unix.EAGAIN), errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return ReasonTimeout
	case errors.Is(err, ErrMalformed):
		return ReasonMalformed
	}
	return ReasonOther
}

// short tells whether we ran out of descriptors or memory of our own: what was found then says nothing
// of the host.
func OutOfResources(err error) bool { return err != nil && reasonOf(err) == ReasonLimit }

// vanished tells whether an error means that the process has ended meanwhile, or (ENXIO, of a table in
// /proc/PID/net) the last one in its network namespace.
func Vanished(err error) bool {
	return errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ESRCH) || errors.Is(err, unix.ENXIO)
}

func Denied(err error) bool {
	return errors.Is(err, unix.EACCES) || errors.Is(err, unix.EPERM)
}
