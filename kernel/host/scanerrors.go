package host

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"closewait_exporter/closewait"
)

// The stages of a scan, as in the labels of closewait_scan_errors_total.
const (
	StageProcesses = "processes" // listing /proc
	StageNamespace = "namespace" // finding and entering network namespaces
	StageSockets   = "sockets"   // reading the sockets of a namespace
	StageOwners    = "owners"    // finding the holders of sockets
	StageFacts     = "facts"     // describing a holder
)

// The reasons why a stage failed.
const (
	ReasonDenied    = "denied"    // EACCES, EPERM
	ReasonLimit     = "limit"     // out of descriptors or memory: EMFILE, ENFILE, ENOMEM, ENOBUFS
	ReasonTimeout   = "timeout"   // the kernel did not answer in time
	ReasonMalformed = "malformed" // an answer in an unknown layout
	ReasonOther     = "other"
)

// ScanErrors counts the errors of scans by stage and reason. All combinations exist from the start,
// with count zero. It is safe for concurrent use.
type ScanErrors struct {
	mu     sync.Mutex
	counts map[closewait.ScanError]uint64
}

// NewScanErrors returns a counter in which no error has occurred.
func NewScanErrors() *ScanErrors {
	e := &ScanErrors{counts: map[closewait.ScanError]uint64{}}
	for _, stage := range []string{StageProcesses, StageNamespace, StageSockets, StageOwners, StageFacts} {
		for _, reason := range []string{ReasonDenied, ReasonLimit, ReasonTimeout, ReasonMalformed, ReasonOther} {
			e.counts[closewait.ScanError{Stage: stage, Reason: reason}] = 0
		}
	}
	return e
}

// Add counts an error of a stage. It does not count nil, processes that have ended in the meantime
// (Vanished), and scans that were cancelled.
func (e *ScanErrors) Add(stage string, err error) {
	if err == nil || Vanished(err) || errors.Is(err, context.Canceled) {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.counts[closewait.ScanError{Stage: stage, Reason: reasonOf(err)}]++
}

// AddMalformedRows counts the rows of a socket table that could not be parsed.
func (e *ScanErrors) AddMalformedRows(rows int) {
	for range rows {
		e.Add(StageSockets, fmt.Errorf("socket row: %w", ErrMalformed))
	}
}

// Snapshot returns a copy of the counts.
func (e *ScanErrors) Snapshot() map[closewait.ScanError]uint64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	return maps.Clone(e.counts)
}

func reasonOf(err error) string {
	switch {
	case Denied(err):
		return ReasonDenied
	case OutOfResources(err):
		return ReasonLimit
	case errors.Is(err, ErrHangs), errors.Is(err, unix.EAGAIN), errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return ReasonTimeout
	case errors.Is(err, ErrMalformed):
		return ReasonMalformed
	}
	return ReasonOther
}
