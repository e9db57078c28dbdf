package symbols

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// maxMappings bounds the executable mappings of a process that are read.
const maxMappings = 1 << 16

// mapping is an executable part of the memory of a process.
type mapping struct {
	start, end uint64
	offset     uint64 // in the file
	inode      uint64 // of the file; 0: there is none
	path       string // of the file, or a name in brackets, or empty
}

// readMappings reads the executable mappings from a /proc/PID/maps, ascending. Lines such as
// "7f6bf4851000-7f6bf5634000 r-xp 00251000 fe:00 315152     /usr/lib/libc.so.6" have a fixed order.
func readMappings(maps io.Reader) (list []mapping, err error) {
	lines := bufio.NewScanner(maps)
	for lines.Scan() {
		m, executable := parseMapping(lines.Bytes())
		if !executable {
			continue
		}
		if len(list) == maxMappings {
			return list, fmt.Errorf("more than %d executable mappings", maxMappings)
		}
		list = append(list, m)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read maps: %w", err)
	}
	return list, nil
}

func parseMapping(line []byte) (m mapping, executable bool) {
	const words = 5 // before the path
	fields := make([]string, words)
	rest := string(line)
	for i := range fields {
		rest = strings.TrimLeft(rest, " ")
		fields[i], rest, _ = strings.Cut(rest, " ")
	}
	from, to, _ := strings.Cut(fields[0], "-")
	var errs [4]error
	m.start, errs[0] = strconv.ParseUint(from, 16, 64)
	m.end, errs[1] = strconv.ParseUint(to, 16, 64)
	m.offset, errs[2] = strconv.ParseUint(fields[2], 16, 64)
	m.inode, errs[3] = strconv.ParseUint(fields[4], 10, 64)
	if errors.Join(errs[:]...) != nil || m.start >= m.end || !strings.Contains(fields[1], "x") {
		return mapping{}, false
	}
	m.path = strings.TrimLeft(rest, " ")
	return m, true
}

// find returns the mapping that contains an address.
func find(list []mapping, address uint64) (m *mapping, found bool) {
	at, _ := slices.BinarySearchFunc(list, address, func(m mapping, address uint64) int {
		if m.end <= address {
			return -1
		}
		return 1
	})
	if at == len(list) || address < list[at].start {
		return nil, false
	}
	return &list[at], true
}

// isFile reports whether a file is mapped, rather than memory of the process or of the kernel.
func (m *mapping) isFile() bool { return m.inode != 0 && strings.HasPrefix(m.path, "/") }

// name is the path without the remark of the kernel about a file that is gone.
func (m *mapping) name() string { return strings.TrimSuffix(m.path, " (deleted)") }

// entry is the name of the mapping in /proc/PID/map_files.
func (m *mapping) entry() string { return fmt.Sprintf("%x-%x", m.start, m.end) }
