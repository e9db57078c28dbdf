package inspect

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/diagnose"
	"closewait_exporter/kernel/child"
	"closewait_exporter/kernel/host"
)

// between is the time between the two readings. A CPU quota has periods of 100 ms by default.
const between = 300 * time.Millisecond

// ChildTime is how long the child process may take for a request, unless a Reader says otherwise.
const ChildTime = time.Second

// Reader reads the facts about processes.
type Reader struct {
	Host    *host.Host
	Child   []string // program and arguments that call ReadMemory with their standard input and output
	Workers int      // maximum number of processes that are read concurrently

	Peek      bool          // read the first unread line of each socket
	ChildTime time.Duration // how long the child process may take; 0: the constant
}

// Read reads the facts about a process; Holder, Taken and Halted are left to the caller. What
// cannot be read is listed in Missing. It fails with closewait.ErrGone if the process ends
// meanwhile.
func (r *Reader) Read(ctx context.Context, p *closewait.Process) (*diagnose.Facts, error) {
	f, err := r.read(ctx, p)
	if err == nil && !r.Host.Lives(p.ID) {
		err = closewait.ErrGone
	}
	if err != nil {
		return nil, fmt.Errorf("read process %d: %w", p.ID.PID, host.GoneIfVanished(err))
	}
	return f, nil
}

func (r *Reader) read(ctx context.Context, p *closewait.Process) (*diagnose.Facts, error) {
	run, err := r.open(p, maxThreads)
	if err != nil {
		return nil, err
	}
	defer run.close()
	run.child = child.Start(r.Child, cmp.Or(r.ChildTime, ChildTime))
	defer run.child.End()
	if err := run.begin(ctx, run.readTable); err != nil {
		return nil, err
	}
	run.readMemory(ctx)
	if err := sleep(ctx, between-time.Since(run.start)); err != nil {
		return nil, err
	}
	if err := run.finish(ctx, run.readTimes); err != nil {
		return nil, err
	}
	if err := run.nameHolders(ctx); err != nil {
		return nil, err
	}
	return run.facts, nil
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// reading is the state of reading one process.
type reading struct {
	*Reader
	process *closewait.Process
	dir     host.Directory
	threads *threadReader
	child   *child.Process
	sets    map[int][]int // descriptors for which threads wait, by tid, as far as memory has them
	peers   []uint64      // inodes of the other ends, by index of the socket

	start    time.Time // the first reading
	before   map[int]threadState
	quotas   map[string]quota
	table    *table
	tableErr error

	indices map[uint64]int // of the sockets, by inode
	facts   *diagnose.Facts
}

// open opens a process for reading, with at most a number of its threads.
func (r *Reader) open(p *closewait.Process, mostThreads int) (*reading, error) {
	dir, err := r.Host.OpenProcess(p.ID)
	if err != nil {
		return nil, err
	}
	threads, err := newThreadReader(dir, mostThreads)
	if err != nil {
		dir.Close()
		return nil, err
	}
	return &reading{Reader: r, process: p, dir: dir, threads: threads, sets: map[int][]int{}, facts: &diagnose.Facts{Runtime: runtimeOf(p)}}, nil
}

func (r *reading) close() {
	r.threads.close()
	r.dir.Close()
}

// begin is the first reading.
func (r *reading) begin(ctx context.Context, readTable func(context.Context) (*table, error)) (err error) {
	r.start = time.Now()
	if r.before, err = r.threads.read(ctx, false); err != nil {
		return err
	}
	r.quotas = readQuotas(r.dir)
	r.table, r.tableErr = readTable(ctx)
	return nil
}

// finish is the second reading. What has changed between them is in the facts.
func (r *reading) finish(ctx context.Context, readTable func(context.Context) (*table, error)) error {
	after, err := r.threads.read(ctx, true)
	if err != nil {
		return err
	}
	if len(after) == 0 {
		return closewait.ErrGone
	}
	f := r.facts
	f.Between = time.Since(r.start)
	f.CPU = cpuOf(r.before, after, f.Between)
	f.CPU.Throttled = throttled(r.quotas, readQuotas(r.dir))
	if r.tableErr == nil {
		r.tableErr = r.readSockets(ctx, readTable)
	}
	if r.tableErr != nil && (host.Vanished(r.tableErr) || ctx.Err() != nil) {
		return r.tableErr
	}
	r.missing("its sockets", r.tableErr)
	f.SocketsKnown = r.tableErr == nil
	r.missing("the system calls of its threads", r.threads.callsRefused)
	f.CallsKnown = r.threads.callsRefused == nil
	f.ThreadsOmitted = r.threads.omitted
	r.describeThreads(r.before, after)
	return nil
}

// readMemory asks a child process for what can hang.
func (r *reading) readMemory(ctx context.Context) {
	request := memoryRequest{Process: r.process.ID, Runtime: true}
	for tid, t := range r.before {
		if kind := t.call.info().kind; kind == pollSet || kind == selectSet || kind == epollSet {
			request.Waits = append(request.Waits, waitRequest{tid, kind, t.call.arguments})
		}
	}
	slices.SortFunc(request.Waits, func(a, b waitRequest) int { return cmp.Compare(a.TID, b.TID) })
	failed := ""
	err := child.Ask(ctx, r.child, request, func(a *memoryAnswer) {
		if a.Runtime != "" {
			r.facts.Runtime = a.Runtime
		}
		if a.TID != 0 {
			r.sets[a.TID] = a.FDs
		}
		failed = cmp.Or(failed, a.Error)
	})
	if failed != "" {
		err = errors.Join(err, errors.New(failed))
	}
	r.missing("for which descriptors some threads wait", err)
}

// describeThreads describes the threads of the second reading.
func (r *reading) describeThreads(before, after map[int]threadState) {
	for _, tid := range r.threads.tids {
		now, lives := after[tid]
		if !lives {
			continue
		}
		was, known := before[tid]
		t := diagnose.Thread{TID: tid, Name: now.name, State: now.state, Kernel: now.kernel, Socket: -1}
		t.Still = known && still(was, now)
		info := now.call.info()
		t.Call = info.name
		switch info.kind {
		case oneDescriptor:
			t.FDs = []int{int(int32(now.call.arguments[0]))}
		case pollSet, selectSet, epollSet:
			if t.Still {
				t.FDs = r.sets[tid]
			}
		}
		if len(t.FDs) == 1 && info.kind != epollSet {
			inode, kind := target(r.threads.tasks, tid, t.FDs[0])
			if i, found := r.indices[inode]; found && inode != 0 {
				t.Socket = i
			} else {
				t.On = kind
			}
		}
		r.facts.Threads = append(r.facts.Threads, t)
	}
}

// runtimeOf guesses the runtime by the name of the executable.
func runtimeOf(p *closewait.Process) diagnose.Runtime {
	name := path.Base(p.Exe)
	switch {
	case name == "java":
		return diagnose.Java
	case strings.HasPrefix(name, "python"), strings.HasPrefix(name, "pypy"):
		return diagnose.Python
	case name == "node", name == "nodejs":
		return diagnose.Node
	}
	return diagnose.Native
}
