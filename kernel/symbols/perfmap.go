package symbols

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"closewait_exporter/kernel/host"
	"closewait_exporter/kernel/procfs"
	"closewait_exporter/origin"
)

const (
	maxPerfMap     = 256 << 20 // bytes of a perf map that are read
	maxPerfSymbols = 2 << 20
)

// perfMap has the functions that a runtime has generated, ascending by address: a text file in
// /tmp, with lines as "7f2b1c000200 1a0 java.net.Socket::connect" (tools/perf/Documentation/
// jit-interface.txt).
type perfMap struct{ symbols []symbol }

// openPerfMap reads the perf map of a process from its /tmp. The file must belong to the user of
// the process, or to root: any user can create it.
func openPerfMap(process host.Directory) (*perfMap, error) {
	status, err := process.Read("status", nil)
	if err != nil {
		return nil, fmt.Errorf("read status: %w", err)
	}
	pids := strings.Fields(procfs.StatusField(status, "NSpid"))
	users := strings.Fields(procfs.StatusField(status, "Uid"))
	if len(pids) == 0 || len(users) < 2 {
		return nil, fmt.Errorf("%w status", host.ErrMalformed)
	}
	path := "/tmp/perf-" + pids[len(pids)-1] + ".map" // the pid that the process has for itself
	fd, err := openInRoot(process, path)
	if err != nil {
		return nil, err
	}
	f, err := reopen(fd, path, func(st *unix.Stat_t) error {
		if st.Uid != 0 && strconv.FormatUint(uint64(st.Uid), 10) != users[1] {
			return fmt.Errorf("%s belongs to user %d, and the process to user %s: it is not read", path, st.Uid, users[1])
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return parsePerfMap(io.LimitReader(f, maxPerfMap))
}

// parsePerfMap parses a perf map. Lines that are not understood are left out. Code can be replaced:
// of two functions at an address, the later line counts.
func parsePerfMap(r io.Reader) (*perfMap, error) {
	p := &perfMap{}
	lines := bufio.NewReaderSize(r, maxName)
	for len(p.symbols) < maxPerfSymbols {
		line, err := lines.ReadSlice('\n')
		if s, ok := parsePerfLine(string(line)); ok {
			p.symbols = append(p.symbols, s)
		}
		for errors.Is(err, bufio.ErrBufferFull) { // the rest of a long line
			_, err = lines.ReadSlice('\n')
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("read perf map: %w", err)
		}
	}
	slices.SortStableFunc(p.symbols, func(a, b symbol) int { return cmp.Compare(a.start, b.start) })
	return p, nil
}

func parsePerfLine(line string) (s symbol, ok bool) {
	start, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
	size, name, _ := strings.Cut(rest, " ")
	from, err := strconv.ParseUint(strings.TrimPrefix(start, "0x"), 16, 64)
	length, e := strconv.ParseUint(strings.TrimPrefix(size, "0x"), 16, 64)
	if errors.Join(err, e) != nil || name == "" || length == 0 {
		return symbol{}, false
	}
	return symbol{from, length, name}, true
}

// frames returns the function at an address, if it is known.
func (p *perfMap) frames(address uint64) []origin.Frame {
	at, _ := slices.BinarySearchFunc(p.symbols, address, func(s symbol, address uint64) int {
		if s.start <= address {
			return -1
		}
		return 1
	})
	if at == 0 || address-p.symbols[at-1].start >= p.symbols[at-1].size {
		return nil
	}
	return []origin.Frame{perfFrame(p.symbols[at-1].name)}
}

// perfFrame splits what Python writes, as "py::fetch:/srv/client.py". Other runtimes write only a
// name.
func perfFrame(name string) origin.Frame {
	f := origin.Frame{Function: name, Language: origin.PerfMap}
	if rest, python := strings.CutPrefix(name, "py::"); python {
		if function, file, found := strings.Cut(rest, ":"); found {
			f.Function, f.File = function, file
		}
	}
	return f
}
