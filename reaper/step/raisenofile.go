package step

import (
	"context"
	"fmt"
	"strconv"

	"closewait_exporter/closewait"
	"closewait_exporter/reaper/document"
)

var raiseNoFile = Kind{
	Name: "raise_nofile",
	Keys: []string{"to"},
	Read: func(s *document.Section) Step {
		return document.Value(s, "to", RaiseNoFile{Hard: true}, parseRaiseNoFile)
	},
}

// RaiseNoFile raises the soft limit of descriptors (prlimit(2)), which gives the process more time.
type RaiseNoFile struct {
	Hard bool // to the hard limit
	To   uint64
}

func parseRaiseNoFile(text string) (RaiseNoFile, error) {
	if text == "hard" {
		return RaiseNoFile{Hard: true}, nil
	}
	n, err := strconv.ParseUint(text, 10, 31)
	if err != nil || n == 0 {
		return RaiseNoFile{}, fmt.Errorf("%q is no limit: write hard, or a number of descriptors", text)
	}
	return RaiseNoFile{To: n}, nil
}

// Kind implements Step.
func (RaiseNoFile) Kind() string { return raiseNoFile.Name }

func (r RaiseNoFile) String() string {
	if r.Hard {
		return raiseNoFile.Name + " to hard"
	}
	return fmt.Sprintf("%s to %d", raiseNoFile.Name, r.To)
}

// Traits implements Step.
func (RaiseNoFile) Traits() Traits { return Traits{} }

// Permitted implements Step. See Rights.RaiseNoFile.
func (RaiseNoFile) Permitted(r Rights) error { return r.RaiseNoFile }

// Apply implements Step.
func (r RaiseNoFile) Apply(_ context.Context, t *Target) (Result, error) {
	to := r.To
	if r.Hard {
		to = closewait.UnlimitedFDs
	}
	before, after, err := t.Process.RaiseNoFile(to)
	return Result{Detail: fmt.Sprintf("limit %d -> %d", before, after), Idle: after == before, Raised: err == nil}, err
}
