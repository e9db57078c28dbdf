package symbols

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"closewait_exporter/kernel/host"
	"closewait_exporter/origin"
)

// resolver gives names to addresses of one process.
type resolver struct {
	process  host.Directory
	mappings []mapping
	modules  map[string]*module // by path and inode
	perf     *perfMap           // nil: there is none, or it was not needed yet
	perfRead bool
	notes    []string
}

func newResolver(process host.Directory) (*resolver, error) {
	fd, err := unix.Openat(int(process), "maps", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open maps: %w", err)
	}
	maps := os.NewFile(uintptr(fd), "maps")
	defer maps.Close()
	r := &resolver{process: process, modules: map[string]*module{}}
	if r.mappings, err = readMappings(maps); err != nil {
		return nil, err
	}
	if len(r.mappings) == 0 {
		return nil, fmt.Errorf("no executable mappings: %w", unix.ESRCH)
	}
	return r, nil
}

// resolve returns the functions at a return address, innermost first. A call that has no name has
// only its module, or nothing. There is none if the address is in no executable mapping, so that it
// is no return address.
func (r *resolver) resolve(returnAddress uint64) (frames []origin.Frame) {
	address := returnAddress - 1 // the call is before it
	m, found := find(r.mappings, address)
	if !found {
		return nil
	}
	if !m.isFile() {
		frames = r.perfMap().frames(address)
	} else if mod := r.module(m); mod != nil {
		frames = mod.frames(m, address)
	}
	if len(frames) == 0 {
		frames = []origin.Frame{{}}
	}
	for i := range frames {
		frames[i].Module = m.name()[:min(len(m.name()), maxName)]
	}
	return frames
}

// module returns the tables of a file, which are read once.
func (r *resolver) module(m *mapping) *module {
	key := strconv.FormatUint(m.inode, 10) + " " + m.path
	mod, known := r.modules[key]
	if known {
		return mod
	}
	mod, err := safely(func() (*module, error) { return openModule(r.process, m) })
	if err != nil {
		r.note("The functions of "+m.name()+" have no names", err)
	}
	r.modules[key] = mod
	return mod
}

func (r *resolver) perfMap() *perfMap {
	if r.perfRead {
		return r.perf
	}
	r.perfRead = true
	r.perf = &perfMap{}
	perf, err := openPerfMap(r.process)
	switch {
	case err == nil:
		r.perf = perf
	case !errors.Is(err, unix.ENOENT):
		r.note("Generated code has no names", err)
	}
	return r.perf
}

// note adds a sentence about what could not be read.
func (r *resolver) note(consequence string, err error) {
	const most = 10
	if len(r.notes) < most {
		r.notes = append(r.notes, sentence(consequence, err))
	}
}

func sentence(consequence string, err error) string {
	text := fmt.Sprintf("%s: %v", consequence, err)
	if host.Denied(err) {
		text += ": run as root, or with CAP_SYS_PTRACE"
	}
	return text + "."
}

// safely turns a panic into an error. The packages that read executable files are not made for
// hostile ones.
func safely[T any](read func() (T, error)) (result T, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w file: %v", host.ErrMalformed, p)
		}
	}()
	return read()
}
