package action

import (
	"bytes"
	"context"
	"fmt"
	"sync"

	"closewait_exporter/closewait"
)

const (
	keptGuardOutput = 4 << 10
	maxGuardOutput  = 1 << 20 // a guard that writes more is killed: it would only waste time
)

// guardOutput keeps the beginning of the output of a guard.
type guardOutput struct {
	overflow context.CancelCauseFunc

	mu      sync.Mutex
	kept    bytes.Buffer
	written int
}

// Write always succeeds, so that no guard dies of a broken pipe.
func (o *guardOutput) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.kept.Write(p[:min(len(p), keptGuardOutput-o.kept.Len())])
	if o.written += len(p); o.written > maxGuardOutput {
		o.overflow(fmt.Errorf("%w: more than %d bytes of output", closewait.ErrGuardFailed, maxGuardOutput))
	}
	return len(p), nil
}

func (o *guardOutput) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.kept.String()
}
