// Package trace traces one process for a time, and reports which code made the sockets that it
// leaks: stacks are from BPF (kernel/bpf), names from the files of the process (kernel/symbols).
package trace

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"closewait_exporter/closewait"
	"closewait_exporter/kernel/bpf"
	"closewait_exporter/kernel/host"
	"closewait_exporter/kernel/symbols"
	"closewait_exporter/origin"
)

// Tracer traces processes.
type Tracer struct {
	Host    *host.Host
	Symbols *symbols.Reader
	For     time.Duration // how long
	MinAge  time.Duration // ended sockets that are younger do not count as leaked; at most For
	Started func()        // called when the trace has begun
}

// checkEvery is how often it is checked whether the process lives.
const checkEvery = 100 * time.Millisecond

// Trace traces a process. If ctx ends meanwhile, the trace ends earlier, which is no error. It
// fails with closewait.ErrGone if the process ends: its sockets are gone too.
func (t *Tracer) Trace(ctx context.Context, p *closewait.Process) (*origin.Trace, error) {
	if !t.Host.PIDsAreOurs {
		return nil, fmt.Errorf("%s shows the pids of another pid namespace: run it in the pid namespace of the host, with its /proc", t.Host.Path)
	}
	if err := t.permitted(); err != nil {
		return nil, err
	}
	r, err := t.start(p)
	if err != nil {
		return nil, err
	}
	t.Started()
	err = r.record(ctx)
	r.tracer.Close() // before the slow part
	if err != nil {
		return nil, err
	}
	// An interrupted trace has a result too.
	r.name(t.Symbols.Read(context.WithoutCancel(ctx), p.ID, r.addresses()))
	return r.trace, nil
}

// permitted checks the capabilities first: without them, the errors of the kernel and of package
// ebpf name other causes.
func (t *Tracer) permitted() error {
	if t.Host.Capable(unix.CAP_SYS_ADMIN) || t.Host.Capable(unix.CAP_BPF) && t.Host.Capable(unix.CAP_PERFMON) {
		return nil
	}
	return fmt.Errorf("load BPF programs: %w: it needs CAP_BPF and CAP_PERFMON: run it as root", unix.EPERM)
}

// run is the state of one trace.
type run struct {
	*Tracer
	tracer *bpf.Tracer
	before map[uint64]bool // cookies of sockets that were there before
	trace  *origin.Trace
	stacks map[int32][]uint64 // by number
	births []birth            // of trace.Sockets
}

// birth are the numbers of the stacks of a socket.
type birth struct{ born, end int32 }

func (t *Tracer) start(p *closewait.Process) (*run, error) {
	tracer, err := bpf.NewTracer(p.ID.PID, p.ID.Start)
	if err != nil {
		return nil, fmt.Errorf("trace process %d: %w", p.ID.PID, host.GoneIfVanished(err))
	}
	r := &run{Tracer: t, tracer: tracer, before: map[uint64]bool{}, trace: &origin.Trace{Process: *p}, stacks: map[int32][]uint64{}}
	if err = tracer.Attach(); err == nil {
		// Those that were made while only some hooks were there count as made before too: a connection
		// of which only a read was seen looks as if it was accepted.
		err = r.each(context.Background(), func(s *bpf.TracedSocket) { r.before[s.Socket().Cookie] = true })
	}
	if err != nil {
		tracer.Close()
		return nil, fmt.Errorf("trace process %d: %w", p.ID.PID, err)
	}
	r.describeHooks()
	return r, nil
}

// each calls f with each socket of the process, once.
func (r *run) each(ctx context.Context, f func(*bpf.TracedSocket)) error {
	seen := map[uint64]bool{}
	malformed, err := r.tracer.Sockets(ctx, func(s *bpf.TracedSocket) {
		if cookie := s.Socket().Cookie; !seen[cookie] {
			seen[cookie] = true
			f(s)
		}
	})
	return errors.Join(append(malformed, err)...)
}

// record traces until the time is over, or ctx ends, and reads the result.
func (r *run) record(ctx context.Context) error {
	begin := time.Now()
	minAge := min(r.MinAge, r.For)
	if err := r.wait(ctx, r.For-minAge); err != nil {
		return err
	}
	ctx = context.WithoutCancel(ctx)
	ended, err := r.ended(ctx)
	if err == nil {
		err = r.wait(ctx, minAge)
	}
	if err == nil {
		err = r.read(ctx, ended)
	}
	if err == nil {
		err = r.requireSame()
	}
	r.trace.For = time.Since(begin)
	return err
}

// describeHooks says which hooks are used, and which are missing.
func (r *run) describeHooks() {
	for _, h := range r.tracer.Hooks {
		if h.At != "" {
			r.trace.Attached = append(r.trace.Attached, h.At)
			continue
		}
		consequence := "these calls are not seen"
		if h.Event == bpf.Accepts {
			consequence = "the first read or write stands for it"
		}
		r.trace.Missing = append(r.trace.Missing, fmt.Sprintf("No hook for %s, so %s (%s).", h.Event, consequence, strings.ReplaceAll(h.Error.Error(), "\n", ", ")))
	}
}

// wait returns after a time, or when ctx ends. It fails if the process ends.
func (r *run) wait(ctx context.Context, d time.Duration) error {
	ticks := time.NewTicker(checkEvery)
	defer ticks.Stop()
	for over := time.After(d); ; {
		if err := r.requireAlive(); err != nil {
			return err
		}
		select {
		case <-over:
			return nil
		case <-ctx.Done():
			return nil
		case <-ticks.C:
		}
	}
}

// requireAlive fails if the process has ended.
func (r *run) requireAlive() error {
	p := &r.trace.Process
	if !r.Host.Lives(p.ID) {
		return fmt.Errorf("process %d (%s) ended while it was traced, and its sockets with it: %w", p.ID.PID, p.Comm, closewait.ErrGone)
	}
	return nil
}

// requireSame fails if the process has ended, or executes another program: then the addresses that
// were recorded mean other functions.
func (r *run) requireSame() error {
	if err := r.requireAlive(); err != nil {
		return err
	}
	p := &r.trace.Process
	executed, err := r.tracer.Executed()
	if err == nil && executed {
		err = errors.New("it executed another program meanwhile: trace it again")
	}
	if err != nil {
		return fmt.Errorf("trace process %d (%s): %w", p.ID.PID, p.Comm, err)
	}
	return nil
}

func hasEnded(s *bpf.Socket) bool { return s.State == host.TCPCloseWait || s.State == host.TCPClose }

// ended returns the cookies of the sockets that have ended.
func (r *run) ended(ctx context.Context) (map[uint64]bool, error) {
	cookies := map[uint64]bool{}
	err := r.each(ctx, func(s *bpf.TracedSocket) {
		if hasEnded(s.Socket()) {
			cookies[s.Socket().Cookie] = true
		}
	})
	return cookies, err
}

// read reads the result. Leaked are the sockets that had ended before, too.
func (r *run) read(ctx context.Context, before map[uint64]bool) error {
	err := r.each(ctx, func(s *bpf.TracedSocket) {
		socket := s.Socket()
		leaked := hasEnded(socket) && before[socket.Cookie]
		old := r.before[socket.Cookie]
		if !old {
			r.trace.Made++
		}
		switch {
		case !leaked:
		case old:
			r.trace.Before++
		case s.Birth.Call == bpf.CallNone:
			r.trace.Unknown++
		default:
			r.add(s, socket)
		}
	})
	if err != nil {
		return err
	}
	for _, b := range r.births {
		for _, number := range []int32{b.born, b.end} {
			if r.stacks[number], err = r.tracer.Stack(number); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *run) add(s *bpf.TracedSocket, socket *bpf.Socket) {
	b := birth{s.Birth.Stack, -1}
	one := origin.Socket{
		Born: origin.Call{How: hows[s.Birth.Call]}, End: origin.Call{How: hows[s.Birth.EndCall]},
		Thread: s.Thread(), State: closewait.CloseWait,
	}
	if s.Birth.EndCall != bpf.CallNone {
		b.end = s.Birth.EndStack
	}
	if socket.State == host.TCPClose {
		one.State = closewait.Closed
	} else if socket.RecvQueue > 0 {
		one.Unread = uint64(socket.RecvQueue) - 1 // the end counts as a byte
	}
	switch one.Direction = r.directionOf(one.Born.How); one.Direction {
	case closewait.Outbound:
		one.Port = socket.RemotePort
	case closewait.Inbound:
		one.Port = socket.LocalPort
	}
	r.births = append(r.births, b)
	r.trace.Sockets = append(r.trace.Sockets, one)
}

var hows = [...]origin.How{
	bpf.CallNone: origin.NotSeen, bpf.CallConnect: origin.Connect, bpf.CallAccept: origin.Accept,
	bpf.CallRead: origin.Read, bpf.CallWrite: origin.Write,
}

// directionOf concludes from the first call of a socket who has opened the connection. Where
// connect(2) is seen, other sockets are accepted ones.
func (r *run) directionOf(first origin.How) closewait.Direction {
	seesConnect := slices.ContainsFunc(r.tracer.Hooks, func(h bpf.Hook) bool { return h.Event == bpf.Connects && h.At != "" })
	switch {
	case first == origin.Connect:
		return closewait.Outbound
	case first == origin.Accept, seesConnect:
		return closewait.Inbound
	}
	return closewait.UnknownDirection
}

// addresses returns the return addresses of all stacks, each once.
func (r *run) addresses() []uint64 {
	var all []uint64
	for _, stack := range r.stacks {
		all = append(all, stack...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// name turns addresses into names.
func (r *run) name(names *symbols.Names) {
	r.trace.Missing = append(r.trace.Missing, names.Notes...)
	lost := 0
	for i, b := range r.births {
		s := &r.trace.Sockets[i]
		s.Born.Stack, s.Born.Cut = names.Stack(r.stacks[b.born])
		s.End.Stack, s.End.Cut = names.Stack(r.stacks[b.end])
		if b.born == -int32(unix.EEXIST) {
			lost++
		}
	}
	if lost > 0 {
		r.trace.Missing = append(r.trace.Missing, fmt.Sprintf("The stacks of %d sockets are lost: two stacks had the same slot in a table of the kernel.", lost))
	}
}
