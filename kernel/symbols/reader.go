package symbols

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"time"

	"golang.org/x/sys/unix"

	"closewait_exporter/closewait"
	"closewait_exporter/kernel/child"
	"closewait_exporter/kernel/host"
	"closewait_exporter/origin"
)

const (
	// ChildTime is how long the child process may take, unless a Reader says otherwise.
	ChildTime = 30 * time.Second
	// childMemory bounds the memory of the child process, in bytes.
	childMemory = 2 << 30
)

// Reader resolves addresses of processes.
type Reader struct {
	Child     []string // program and arguments that call Resolve with their standard input and output
	ChildTime time.Duration
}

// request asks for the names of return addresses of a process.
type request struct {
	Process   closewait.ProcessID
	Addresses []uint64
}

// answer is a part of the answer: the functions at an address, or a sentence about what could not
// be read.
type answer struct {
	Address uint64
	Frames  []origin.Frame // empty: the address is not one of code
	Note    string
}

// Names are the functions at return addresses.
type Names struct {
	calls map[uint64][]origin.Frame
	Notes []string // sentences about what could not be read
}

// Read resolves return addresses. Whatever cannot be read has no names.
func (r *Reader) Read(ctx context.Context, id closewait.ProcessID, addresses []uint64) *Names {
	names := &Names{calls: make(map[uint64][]origin.Frame, len(addresses))}
	reading := child.Start(r.Child, cmp.Or(r.ChildTime, ChildTime))
	defer reading.End()
	err := child.Ask(ctx, reading, request{id, addresses}, func(a *answer) {
		if a.Note != "" {
			names.Notes = append(names.Notes, a.Note)
		} else {
			names.calls[a.Address] = a.Frames
		}
	})
	if err != nil {
		names.Notes = append(names.Notes, sentence("Not all functions have names", err))
	}
	return names
}

// Stack turns return addresses, innermost first, into calls. It ends at the first address that is
// in no executable mapping: code without frame pointers leaves other values there. cut says that it
// did. An address without an answer is a call without a name.
func (n *Names) Stack(addresses []uint64) (frames []origin.Frame, cut bool) {
	for _, address := range addresses {
		call, answered := n.calls[address]
		if !answered {
			call = []origin.Frame{{}}
		}
		if len(call) == 0 {
			return frames, true
		}
		frames = append(frames, call...)
	}
	return frames, false
}

// Resolve is what the child process does: it answers requests. It limits its own
// memory, because the files that it reads are hostile input.
func Resolve(h *host.Host, input io.Reader, answers io.Writer) error {
	limit := &unix.Rlimit{Cur: childMemory, Max: childMemory}
	if err := unix.Setrlimit(unix.RLIMIT_DATA, limit); err != nil {
		return fmt.Errorf("limit memory: %w", err)
	}
	return child.Serve(input, answers, func(r *request, send func(answer) error) error { return r.answer(h, send) })
}

func (asked *request) answer(h *host.Host, send func(answer) error) error {
	note := func(text string) error { return send(answer{Note: text}) }
	process, err := h.OpenProcess(asked.Process)
	if err != nil {
		return note(sentence("No function has a name", err))
	}
	defer process.Close()
	r, err := newResolver(process)
	if err != nil {
		return note(sentence("No function has a name", err))
	}
	for _, address := range asked.Addresses {
		frames, err := safely(func() ([]origin.Frame, error) { return r.resolve(address), nil })
		if err != nil {
			frames = []origin.Frame{{}}
		}
		if err := send(answer{Address: address, Frames: frames}); err != nil {
			return err
		}
	}
	for _, text := range r.notes {
		if err := note(text); err != nil {
			return err
		}
	}
	return nil
}
