package inspect

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"closewait_exporter/kernel/host"
)

const (
	// maxThreads bounds the threads of a process that are read.
	maxThreads = 4096
	// quickThreads does so for ReadQuickly, which is called again and again.
	quickThreads = 256
)

// threadReader reads the threads of one process.
type threadReader struct {
	tasks   host.Directory // /proc/PID/task
	tids    []int
	omitted int
	buf     []byte

	callsRefused error // why the calls cannot be read
}

// newThreadReader returns a reader of at most a number of threads.
func newThreadReader(process host.Directory, most int) (*threadReader, error) {
	tasks, err := host.OpenDirectory(process, "task")
	if err != nil {
		return nil, err
	}
	tids, err := tasks.Numbers(make([]byte, host.EntriesSize))
	if err != nil {
		tasks.Close()
		return nil, err
	}
	slices.Sort(tids)
	r := &threadReader{tasks: tasks, tids: tids}
	if len(tids) > most {
		r.tids, r.omitted = tids[:most], len(tids)-most
	}
	return r, nil
}

func (r *threadReader) close() { r.tasks.Close() }

// threadState is one reading of a thread.
type threadState struct {
	call   call
	ran    schedule
	state  byte
	name   string
	kernel string
}

// schedule is a line of /proc/PID/task/TID/schedstat: it grows when a thread runs.
type schedule struct {
	known       bool
	ran, waited time.Duration // on a processor, and for one
	slices      uint64        // how often it got a processor
}

func parseSchedule(line []byte) (s schedule) {
	words := bytes.Fields(line)
	if len(words) != 3 {
		return s
	}
	var numbers [3]uint64
	for i, word := range words {
		n, ok := host.ParseNumber(word)
		if !ok {
			return s
		}
		numbers[i] = n
	}
	return schedule{numbers[2] > 0, time.Duration(numbers[0]), time.Duration(numbers[1]), numbers[2]}
}

// read reads all threads. The first reading needs no names. A thread that has ended is left out.
func (r *threadReader) read(ctx context.Context, names bool) (map[int]threadState, error) {
	all := make(map[int]threadState, len(r.tids))
	for _, tid := range r.tids {
		if err := ctx.Err(); err != nil {
			return nil, context.Cause(ctx)
		}
		state, err := r.readThread(strconv.Itoa(tid), names)
		if host.Vanished(err) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read thread %d: %w", tid, err)
		}
		all[tid] = state
	}
	return all, nil
}

func (r *threadReader) readThread(tid string, names bool) (s threadState, err error) {
	if names {
		var st host.Stat
		if r.buf, err = r.tasks.Read(tid+"/stat", r.buf); err != nil {
			return s, err
		}
		if st, err = host.ParseStat(r.buf); err != nil {
			return s, err
		}
		s.state, s.name = st.State, string(st.Comm)
		if r.buf, err = r.tasks.Read(tid+"/wchan", r.buf); err == nil && string(r.buf) != "0" {
			s.kernel = string(r.buf)
		}
	}
	if r.buf, err = r.tasks.Read(tid+"/schedstat", r.buf); err == nil {
		s.ran = parseSchedule(r.buf)
	}
	r.buf, err = r.tasks.Read(tid+"/syscall", r.buf)
	switch {
	case err == nil:
		s.call = parseCall(r.buf)
	case !host.Vanished(err):
		r.callsRefused = r.tasks.UnlessEnded(tid, err)
	}
	return s, nil
}

// still reports whether a thread did not run between two readings.
func still(before, after threadState) bool {
	return before.call == after.call && before.ran.known && after.ran.known && before.ran.slices == after.ran.slices &&
		before.ran.ran == after.ran.ran && after.state != 'R'
}
