package reaper

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/reaper/step"
)

// fakeHost is a host in memory on which a few processes leak. It implements the interfaces of a
// real one, and records the actions.
type fakeHost struct {
	mu        sync.Mutex
	processes []*fakeProcess
	actions   []string
	on        map[string]func(*fakeProcess) error // the effect of an action
	scanErr   error                               // the error of Observe
	unread    int
	hidden    bool // not every process can be read
	closed    bool // Observe shows closed sockets
	onScan    func()
	cases     []closewait.EvidenceCase    // of which evidence was written
	writing   func(context.Context) error // the effect of writing evidence
	unit      closewait.Unit              // of every process
	unitErr   error
	restart   closewait.UnitRestart // the result of restart_unit
}

type fakeProcess struct {
	host    *fakeHost
	process closewait.Process
	sockets []*closewait.Socket         // for which it has descriptors
	cut     map[closewait.SocketID]bool // or reset by the peer
	ended   chan struct{}
	halted  bool
	closed  int           // number of closed sockets
	slow    time.Duration // how long Wait takes, even if its context ends before
	handles atomic.Int32
}

func (h *fakeHost) add(holder *closewait.Holder) *fakeProcess {
	p := &fakeProcess{host: h, process: holder.Process, sockets: slices.Clone(holder.Ended.Sockets), cut: map[closewait.SocketID]bool{}, ended: make(chan struct{})}
	h.processes = append(h.processes, p)
	return p
}

func (p *fakeProcess) dead() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

// exit ends the process, once.
func (p *fakeProcess) exit() {
	if !p.dead() {
		close(p.ended)
	}
}

// close makes it close its sockets.
func (p *fakeProcess) close() {
	p.closed += len(p.sockets)
	p.sockets = nil
}

func (h *fakeHost) Observe(context.Context) (*closewait.View, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.onScan != nil {
		h.onScan()
	}
	if h.scanErr != nil {
		return nil, h.scanErr
	}
	v := &closewait.View{Taken: time.Now(), Namespaces: 1, UnreadableNamespaces: h.unread}
	for _, p := range h.processes {
		var ended []*closewait.Socket
		for _, s := range p.sockets {
			seen := *s
			seen.Holders = h.holders(s)
			if p.isClosed(s) {
				seen.State = closewait.Closed
			}
			if seen.State != closewait.Closed || h.closed {
				ended = append(ended, &seen)
			}
		}
		if !p.dead() && len(ended) > 0 {
			v.Holders = append(v.Holders, &closewait.Holder{Process: p.process, Ended: closewait.NewHolding(ended)})
		}
	}
	return v, nil
}

func (p *fakeProcess) isClosed(s *closewait.Socket) bool {
	return s.State == closewait.Closed || p.cut[s.ID]
}

func (h *fakeHost) Holders(_ context.Context, sockets []*closewait.Socket) (closewait.HolderLookup, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	found := closewait.HolderLookup{Of: map[closewait.SocketID][]closewait.ProcessID{}, Complete: !h.hidden}
	for _, s := range sockets {
		if holders := h.holders(s); len(holders) > 0 {
			found.Of[s.ID] = holders
		}
	}
	return found, nil
}

func (h *fakeHost) holders(s *closewait.Socket) (ids []closewait.ProcessID) {
	for _, p := range h.processes {
		if !p.dead() && p.holds(s) {
			ids = append(ids, p.process.ID)
		}
	}
	return ids
}

func (p *fakeProcess) holds(s *closewait.Socket) bool {
	return slices.ContainsFunc(p.sockets, func(other *closewait.Socket) bool { return other.ID == s.ID })
}

func (h *fakeHost) Open(id closewait.ProcessID) (step.ProcessHandle, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, p := range h.processes {
		if p.process.ID == id && !p.dead() {
			p.handles.Add(1)
			return p, nil
		}
	}
	return nil, fmt.Errorf("process %d: %w", id.PID, closewait.ErrGone)
}

func (h *fakeHost) RunGuard(_ context.Context, g closewait.Guard) (string, error) {
	return "told", h.act(fmt.Sprint("run ", g.Command[0]), nil)
}

// WriteEvidence implements step.Executor.
func (h *fakeHost) WriteEvidence(ctx context.Context, c closewait.EvidenceCase) (string, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.cases = append(h.cases, c)
	if h.writing != nil {
		if err := h.writing(ctx); err != nil {
			return "", err
		}
	}
	return "/evidence/" + c.ID + ".json", nil
}

// Evict records the pod, or that it was only asked.
func (h *fakeHost) Evict(_ context.Context, e closewait.Eviction) (closewait.EvictionResult, error) {
	if e.DryRun {
		return closewait.EvictionResult{}, h.act("dry run of evict "+e.PodUID, nil)
	}
	name := "evict " + e.PodUID
	if e.Allow.NoPDB {
		name += " without a budget"
	}
	err := h.act(name, nil)
	return closewait.EvictionResult{Pod: "shop/web-0", Sent: err == nil}, err
}

// act records an action and applies its effect.
func (h *fakeHost) act(name string, p *fakeProcess) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.actions = append(h.actions, name)
	if f := h.on[name]; f != nil {
		if p == nil {
			p = h.processes[0]
		}
		return f(p)
	}
	return nil
}

func (p *fakeProcess) do(name string) error {
	if p.dead() {
		return closewait.ErrGone
	}
	return p.host.act(name, p)
}

func (p *fakeProcess) Close() { p.handles.Add(-1) }

func (p *fakeProcess) Exited() (bool, error) { return p.dead(), nil }

func (p *fakeProcess) Wait(ctx context.Context) error {
	if p.slow > 0 {
		time.Sleep(p.slow)
	}
	select {
	case <-p.ended:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (p *fakeProcess) Describe() (closewait.Process, error) {
	if p.dead() {
		return closewait.Process{}, closewait.ErrGone
	}
	now := p.process
	now.OpenFDs -= uint64(p.closed)
	return now, nil
}

func (p *fakeProcess) Activity() (a closewait.Activity, err error) {
	if p.dead() {
		return a, closewait.ErrGone
	}
	if p.halted {
		a.Halted = "frozen by its cgroup"
	}
	return a, nil
}

// Activity is Options.Activity.
func (h *fakeHost) Activity(id closewait.ProcessID) (closewait.Activity, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, p := range h.processes {
		if p.process.ID == id {
			return p.Activity()
		}
	}
	return closewait.Activity{}, closewait.ErrGone
}

func (p *fakeProcess) Verify(_ context.Context, sockets []*closewait.Socket) ([]*closewait.Socket, error) {
	if p.dead() {
		return nil, closewait.ErrGone
	}
	return slices.DeleteFunc(slices.Clone(sockets), func(s *closewait.Socket) bool { return !p.holds(s) || p.isClosed(s) != (s.State == closewait.Closed) }), nil
}

func (p *fakeProcess) RaiseNoFile(uint64) (before, after uint64, err error) {
	return 1000, 2000, p.do("raise_nofile")
}

func (p *fakeProcess) Destroy(_ context.Context, sockets []*closewait.Socket) (closewait.SocketCounts, error) {
	return p.lockedCutAll(sockets), p.do("destroy")
}

func (p *fakeProcess) Shutdown(_ context.Context, sockets []*closewait.Socket) (closewait.SocketCounts, error) {
	return p.lockedCutAll(sockets), p.do("shutdown")
}

func (p *fakeProcess) lockedCutAll(sockets []*closewait.Socket) closewait.SocketCounts {
	p.host.mu.Lock()
	defer p.host.mu.Unlock()
	return p.cutAll(sockets)
}

// cutAll needs the lock of the host, which the effect of an action has.
func (p *fakeProcess) cutAll(sockets []*closewait.Socket) (t closewait.SocketCounts) {
	for _, s := range sockets {
		switch {
		case s.State == closewait.Closed:
			t.Closed++
		case p.cut[s.ID]:
			t.Gone++
		default:
			p.cut[s.ID] = true
			t.Done++
		}
	}
	return t
}

func (p *fakeProcess) ThreadDump(context.Context) error { return p.do("thread_dump") }

func (p *fakeProcess) Unit(context.Context) (closewait.Unit, error) {
	if p.dead() {
		return closewait.Unit{}, closewait.ErrGone
	}
	return p.host.unit, p.host.unitErr
}

func (p *fakeProcess) RestartUnit(context.Context, closewait.Unit) (closewait.UnitRestart, error) {
	return p.host.restart, p.do("restart_unit")
}

func (p *fakeProcess) Signal(name string) error { return p.do("signal " + name) }

// memoryLog is an AuditLog in memory, which can be full.
type memoryLog struct {
	mu      sync.Mutex
	records []Record
	room    int // number of further records; negative: no limit
}

func (l *memoryLog) Write(r Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.room == 0 {
		return errors.New("no space left on device")
	}
	l.room--
	l.records = append(l.records, r)
	return nil
}
