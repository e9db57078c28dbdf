package host

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"
)

// EntriesSize is a suitable size of the buffer for Each, in bytes.
const EntriesSize = 32 << 10

// Each calls f with the name of every entry that does not begin with a dot. The name is valid until
// f returns, and the byte behind it is NUL, as Link requires. buf takes the output of getdents(2).
func (d Directory) Each(buf []byte, f func(name []byte)) error {
	for {
		n, err := RetryEINTR(func() (int, error) { return unix.Getdents(int(d), buf) })
		if err != nil {
			return fmt.Errorf("list directory: %w", err)
		}
		if n == 0 {
			return nil
		}
		if err := eachEntry(buf[:n], f); err != nil {
			return fmt.Errorf("list directory: %w", err)
		}
	}
}

// eachEntry calls f with the names in a series of struct linux_dirent64. It leaves out names that
// begin with a dot.
func eachEntry(entries []byte, f func(name []byte)) error {
	const reclen, start = 16, 19 // offsets of d_reclen and d_name
	for len(entries) > 0 {
		if len(entries) <= start {
			return fmt.Errorf("%w entry: %d bytes left", ErrMalformed, len(entries))
		}
		size := int(binary.NativeEndian.Uint16(entries[reclen:]))
		if size <= start || size > len(entries) {
			return fmt.Errorf("%w entry: length %d, %d bytes left", ErrMalformed, size, len(entries))
		}
		end := bytes.IndexByte(entries[start:size], 0)
		if end < 0 {
			return fmt.Errorf("%w entry: its name does not end", ErrMalformed)
		}
		if end > 0 && entries[start] != '.' {
			f(entries[start : start+end])
		}
		entries = entries[size:]
	}
	return nil
}

// Numbers returns the entries that are numbers: pids, thread ids or descriptors.
func (d Directory) Numbers(buf []byte) ([]int, error) {
	var list []int
	err := d.Each(buf, func(name []byte) {
		if n, ok := ParseNumber(name); ok {
			list = append(list, int(n))
		}
	})
	return list, err
}

// ListPIDs lists all processes, ascending.
func (h *Host) ListPIDs() ([]int, error) {
	list, err := OpenDirectory(h.Proc, ".")
	if err != nil {
		return nil, err
	}
	defer list.Close()
	pids, err := list.Numbers(make([]byte, EntriesSize))
	if err == nil && len(pids) == 0 {
		err = fmt.Errorf("no process is visible in %s", h.Path)
	}
	slices.Sort(pids)
	return pids, err
}
