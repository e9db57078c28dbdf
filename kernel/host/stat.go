package host

import (
	"bytes"
	"fmt"
	"strconv"
)

// Stat holds some fields of /proc/PID/stat (proc_pid_stat(5), do_task_stat in fs/proc/array.c).
type Stat struct {
	Comm    []byte // a part of the input, valid until the buffer is used again
	State   byte   // R, S, D, T, Z, ...
	Parent  int    // pid
	Flags   uint64 // PF_* of include/linux/sched.h
	Threads int
	Start   uint64 // clock ticks since boot
}

// Numbers of the fields, as in the manual page.
const (
	statState   = 3
	statParent  = 4
	statFlags   = 9
	statThreads = 20
	statStart   = 22
)

// ParseStat parses a whole /proc/PID/stat. It allocates nothing unless it fails.
//
// The kernel prints the comm unescaped, and the process chooses it: it can hold `) Z 1`, newlines
// and incomplete UTF-8 sequences. It ends at the last parenthesis, as only numbers and one letter
// follow.
func ParseStat(data []byte) (Stat, error) {
	open, end := bytes.IndexByte(data, '('), bytes.LastIndexByte(data, ')')
	if open < 0 || end < open {
		return Stat{}, fmt.Errorf("%w stat: no comm in parentheses", ErrMalformed)
	}
	s := Stat{Comm: data[open+1 : end]}
	rest, spaced := bytes.CutPrefix(data[end+1:], []byte{' '})
	if !spaced {
		return Stat{}, fmt.Errorf("%w stat: nothing after the comm", ErrMalformed)
	}
	for number := statState; number <= statStart; number++ {
		// Every field but the last of the line ends with a space: one without is cut short.
		field, after, whole := bytes.Cut(rest, []byte{' '})
		if !whole || !s.set(number, field) {
			return Stat{}, fmt.Errorf("%w stat: field %d is missing or of another type", ErrMalformed, number)
		}
		rest = after
	}
	return s, nil
}

// set stores a field. It returns false if the field is not of its type.
func (s *Stat) set(number int, field []byte) bool {
	var err error
	switch number {
	case statState:
		if len(field) != 1 || !isLetter(field[0]) {
			return false
		}
		s.State = field[0]
	case statParent:
		s.Parent, err = strconv.Atoi(string(field))
	case statFlags:
		s.Flags, err = strconv.ParseUint(string(field), 10, 64)
	case statThreads:
		s.Threads, err = strconv.Atoi(string(field))
	case statStart:
		s.Start, err = strconv.ParseUint(string(field), 10, 64)
	default:
		return isNumber(field)
	}
	return err == nil
}

func isLetter(c byte) bool { return 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z' }

// isNumber checks the type of fields that are not used, to detect a line with a field too many or
// too few.
func isNumber(field []byte) bool {
	digits := bytes.TrimPrefix(field, []byte{'-'})
	for _, c := range digits {
		if c < '0' || c > '9' {
			return false
		}
	}
	return len(digits) > 0
}
