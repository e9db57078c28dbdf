package bpf

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"closewait_exporter/kernel/host"
)

// Tracer records the stacks at which one process makes its TCP sockets and reads their end, from
// Attach to Close. Programs and records are in memory that belongs to its descriptors:
// the kernel frees them when the exporter ends, in whatever way.
type Tracer struct {
	Hooks []Hook // how it sees the events, once it is attached

	collection *ebpf.Collection
	process    *link.Iter
	started    uint64 // in ticks of the clock
	executions uint64 // of the process, when it was located
	sockets    *link.Iter
	hooks      []link.Link
	buffer     []byte
}

// The calls in which a socket was seen (bpf/stacks.h).
const (
	CallNone    = 0
	CallConnect = 1
	CallAccept  = 2
	CallRead    = 3
	CallWrite   = 4
)

// TracedSocket is a descriptor of a TCP socket of the traced process. The fields are explained in
// bpf/stacks.h.
type TracedSocket struct{ stacksTraced }

// Socket returns the socket. It can be in any state but LISTEN, unlike a socket of an Iterator.
func (s *TracedSocket) Socket() *Socket {
	return &Socket{objectRecord(s.stacksTraced.Socket)}
}

// Thread returns the name of the thread in which the socket was first seen.
func (s *TracedSocket) Thread() string {
	name, _, _ := bytes.Cut(s.Birth.Comm[:], []byte{0})
	return string(name)
}

func (s *TracedSocket) check() error {
	const states = 12 // TCP_NEW_SYN_RECV, include/net/tcp_states.h
	r, b := &s.stacksTraced.Socket, &s.Birth
	switch {
	case r.Family != familyIPv4 && r.Family != familyIPv6:
		return malformedRecord("address family %d", r.Family)
	case r.State > states:
		return malformedRecord("state %d", r.State)
	case r.Cookie == 0:
		return malformedRecord("no cookie")
	case b.Call > CallWrite || b.EndCall > CallWrite:
		return malformedRecord("calls %d and %d", b.Call, b.EndCall)
	}
	return nil
}

// NewTracer loads what traces a process, whose pid is one of the caller's own pid namespace. It
// sees nothing before Attach. It needs CAP_BPF, CAP_PERFMON and Linux 6.1.
//
// started is the start time of the process in ticks of the clock, as in /proc/PID/stat. If no such
// process lives, the error is ESRCH.
func NewTracer(pid int, started uint64) (*Tracer, error) {
	t, err := loadTracer(uint32(pid), started)
	if err != nil && !host.Vanished(err) {
		err = explain(err, nil)
	}
	return t, err
}

// Attach begins the trace. It succeeds if it sees in at least one way how connections begin; Hooks
// says what it does not see.
func (t *Tracer) Attach() error {
	var reasons []error
	for event := range hooks {
		hook, attached := attachHook(Event(event), t.collection.Maps)
		t.Hooks = append(t.Hooks, hook)
		if attached != nil {
			t.hooks = append(t.hooks, attached)
		}
		reasons = append(reasons, hook.Error)
	}
	if len(t.hooks) == 0 {
		return fmt.Errorf("this kernel has no hook at which a BPF program sees connections: %w", errors.Join(reasons...))
	}
	return nil
}

// loadTracer loads the maps and the iterators, and finds the process. No hook is attached yet.
func loadTracer(pid uint32, started uint64) (t *Tracer, err error) {
	if err := raiseLockedMemory(); err != nil {
		return nil, err
	}
	spec, err := loadStacks()
	if err != nil {
		return nil, err
	}
	if err := checkTracedLayout(spec.Types); err != nil {
		return nil, err
	}
	keepPrograms(spec, stacksProgLocate, stacksProgTracedSockets)
	t = &Tracer{buffer: make([]byte, outputSize)}
	if t.collection, err = ebpf.NewCollection(spec); err != nil {
		return nil, err
	}
	if err = t.locate(pid, started); err == nil {
		t.sockets, err = attachToProcess(t.collection.Programs[stacksProgTracedSockets], stacksProgTracedSockets, pid)
	}
	if err != nil {
		t.Close()
		return nil, err
	}
	return t, nil
}

// locate lets the programs know the process by its pid in the first pid namespace.
func (t *Tracer) locate(pid uint32, started uint64) error {
	if err := t.collection.Variables[stacksVarPid].Set(pid); err != nil {
		return err
	}
	var err error
	if t.process, err = attachToProcess(t.collection.Programs[stacksProgLocate], stacksProgLocate, pid); err != nil {
		return err
	}
	t.started = started
	t.executions, err = t.countExecutions()
	return err
}

// countExecutions returns how often the process has executed a program.
func (t *Tracer) countExecutions() (executions uint64, err error) {
	if _, err := run(context.Background(), t.process, t.buffer, func(*TracedSocket) {}); err != nil {
		return 0, err
	}
	var start uint64
	if err := t.collection.Variables[stacksVarStart].Get(&start); err != nil {
		return 0, err
	}
	if start/uint64(host.ClockTick) != t.started {
		return 0, fmt.Errorf("locate process: %w", unix.ESRCH)
	}
	err = t.collection.Variables[stacksVarExecutions].Get(&executions)
	return executions, err
}

// Executed reports whether the process has executed another program since NewTracer. Then the
// addresses in earlier stacks mean something else.
func (t *Tracer) Executed() (bool, error) {
	now, err := t.countExecutions()
	return now != t.executions, err
}

// Sockets calls each for each descriptor of a TCP socket that the process has now, other than
// listeners. The record is only valid during the call.
func (t *Tracer) Sockets(ctx context.Context, each func(*TracedSocket)) (malformed []error, err error) {
	return run(ctx, t.sockets, t.buffer, each)
}

// Stack returns the addresses of a stack, innermost first: the addresses to which the program
// returns. There is none for negative numbers, which are error numbers.
func (t *Tracer) Stack(number int32) ([]uint64, error) {
	if number < 0 {
		return nil, nil
	}
	var addresses [maxFrames]uint64
	if err := t.collection.Maps[stacksMapStacks].Lookup(uint32(number), &addresses); err != nil {
		return nil, fmt.Errorf("read stack %d: %w", number, err)
	}
	end := slices.Index(addresses[:], 0)
	if end < 0 {
		end = len(addresses)
	}
	return slices.Clone(addresses[:end]), nil
}

// maxFrames is MAX_FRAMES of bpf/stacks.h.
const maxFrames = 64

// Close ends the trace, and frees all that it has stored in the kernel.
func (t *Tracer) Close() {
	for _, hook := range t.hooks {
		_ = hook.Close() // nothing was written, so nothing can be lost
	}
	for _, iter := range []*link.Iter{t.process, t.sockets} {
		if iter != nil {
			_ = iter.Close()
		}
	}
	t.collection.Close()
}

// keepPrograms removes all but the named programs.
func keepPrograms(spec *ebpf.CollectionSpec, names ...string) {
	for name := range spec.Programs {
		if !slices.Contains(names, name) {
			delete(spec.Programs, name)
		}
	}
}
