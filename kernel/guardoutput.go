package kernel

import (
	"bytes"
	"context"
	"fmt"
	"sync"

	"closewait_exporter/closewait"
)

const (
	guardOutputKept = 4 << 10
	guardOutputMost = 1 << 20 // a guard that writes more is ended: it would only burn time
)

// guardOutput keeps the beginning of what a guard writes.
type guardOutput struct {
	overflow context.CancelCauseFunc

	mu      sync.Mutex
	kept    bytes.Buffer
	written int
}

// Write always succeeds: a guard must not die of what it says.
func (o *guardOutput) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.kept.Write(p[:min(len(p), guardOutputKept-o.kept.Len())])
	if o.written += len(p); o.written > guardOutputMost {
		o.overflow(fmt.Errorf("%w: more than %d bytes of output", closewait.ErrGuardFailed, guardOutputMost))
	}
	return len(p), nil
}

func (o *guardOutput) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.kept.String()
}
