package inspect

import (
	"context"
	"errors"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/diagnose"
)

// ReadQuickly reads the facts about several processes at the same time, for a program that must not
// be blocked: without anything that can hang, so without a child process, the times of connections,
// the descriptors that threads poll, unread lines, and other processes. Such facts show fewer
// causes. Each network namespace is read once per reading, and at most 256 threads of a process. A
// process that has ended meanwhile is left out. It fails only if ctx ends.
func (r *Reader) ReadQuickly(ctx context.Context, processes []*closewait.Process) (map[closewait.ProcessID]*diagnose.Facts, error) {
	var readings []*reading
	defer func() {
		for _, run := range readings {
			run.close()
		}
	}()
	quick := *r
	quick.Peek = false
	first, start := tables{}, time.Now()
	for _, p := range processes {
		run, err := quick.open(p, quickThreads)
		if err != nil {
			continue
		}
		if err := run.begin(ctx, first.of(run)); err != nil {
			run.close()
			continue
		}
		readings = append(readings, run)
	}
	if err := sleep(ctx, between-time.Since(start)); err != nil {
		return nil, err
	}
	second, all := tables{}, map[closewait.ProcessID]*diagnose.Facts{}
	for _, run := range readings {
		err := run.finish(ctx, second.of(run))
		switch {
		case ctx.Err() != nil:
			return nil, errors.Join(context.Cause(ctx), err)
		case err == nil && r.Host.Lives(run.process.ID):
			all[run.process.ID] = run.facts
		}
	}
	return all, nil
}

// tables are the sockets of network namespaces, each read once.
type tables map[closewait.NetNS]*table

// of returns how to read the sockets of the namespace of a process.
func (t tables) of(run *reading) func(context.Context) (*table, error) {
	return func(ctx context.Context) (*table, error) {
		ns, err := run.namespace()
		if err != nil {
			return nil, err
		}
		if known := t[ns]; known != nil {
			return known, nil
		}
		read, err := readTable(ctx, run.Host, ns)
		if err == nil {
			t[ns] = read
		}
		return read, err
	}
}
