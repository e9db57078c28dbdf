package symbols

import (
	"cmp"
	"debug/dwarf"
	"debug/elf"
	"fmt"
	"slices"
	"strings"

	"github.com/ianlancetaylor/demangle"

	"closewait_exporter/origin"
)

// maxSymbols bounds the functions of a file that are kept.
const maxSymbols = 4 << 20

// nativeTable has the functions of an executable file, ascending by address.
type nativeTable struct {
	symbols []symbol
	lines   *dwarf.Data // nil: there are none
}

type symbol struct {
	start, size uint64
	name        string
}

// openNativeTable reads the symbols of a file; stripped files only have those that are exported.
func openNativeTable(file *elf.File) (*nativeTable, error) {
	t := &nativeTable{}
	for _, kind := range []elf.SectionType{elf.SHT_SYMTAB, elf.SHT_DYNSYM} {
		if section := file.SectionByType(kind); section != nil && section.Size > maxSection {
			return nil, fmt.Errorf("section %s has %d bytes, more than %d", section.Name, section.Size, maxSection)
		}
	}
	static, _ := file.Symbols() // no symbols is no error
	dynamic, _ := file.DynamicSymbols()
	for _, s := range slices.Concat(static, dynamic) {
		if kind := elf.ST_TYPE(s.Info); (kind != elf.STT_FUNC && kind != elf.STT_GNU_IFUNC) || s.Value == 0 || len(t.symbols) == maxSymbols {
			continue
		}
		t.symbols = append(t.symbols, symbol{s.Value, s.Size, s.Name[:min(len(s.Name), maxName)]})
	}
	// Of several names of a function, the first in alphabetical order is chosen. The aliases of the
	// C library begin with underscores, and the longer ones sort behind.
	slices.SortStableFunc(t.symbols, func(a, b symbol) int {
		return cmp.Or(cmp.Compare(a.start, b.start), cmp.Compare(b.size, a.size),
			cmp.Compare(underscores(a.name), underscores(b.name)), cmp.Compare(a.name, b.name))
	})
	t.lines = openLines(file)
	return t, nil
}

func underscores(name string) int { return len(name) - len(strings.TrimLeft(name, "_")) }

// openLines reads the debugging information of a file. Without it there are no lines.
func openLines(file *elf.File) *dwarf.Data {
	var size uint64
	for _, section := range file.Sections {
		if strings.HasPrefix(section.Name, ".debug_") || strings.HasPrefix(section.Name, ".zdebug_") {
			size += section.Size
		}
	}
	if size == 0 || size > maxSection {
		return nil
	}
	data, err := file.DWARF()
	if err != nil {
		return nil
	}
	return data
}

// frames returns the function at an address, if it is known. Names of C++ and Rust are demangled.
func (t *nativeTable) frames(address uint64) []origin.Frame {
	at, found := slices.BinarySearchFunc(t.symbols, address, func(s symbol, address uint64) int { return cmp.Compare(s.start, address) })
	if !found {
		at--
	}
	for at > 0 && t.symbols[at-1].start == t.symbols[at].start { // the first of several names
		at--
	}
	if at < 0 || (t.symbols[at].size > 0 && address-t.symbols[at].start >= t.symbols[at].size) {
		return nil
	}
	f := origin.Frame{Function: demangle.Filter(t.symbols[at].name, demangle.NoParams), Language: origin.Native}
	f.File, f.Line = t.line(address)
	return []origin.Frame{f}
}

// line returns the position at an address.
func (t *nativeTable) line(address uint64) (file string, line int) {
	if t.lines == nil {
		return "", 0
	}
	unit, err := t.lines.Reader().SeekPC(address)
	if err != nil {
		return "", 0
	}
	lines, err := t.lines.LineReader(unit)
	if err != nil || lines == nil {
		return "", 0
	}
	var entry dwarf.LineEntry
	if lines.SeekPC(address, &entry) != nil || entry.File == nil {
		return "", 0
	}
	return entry.File.Name[:min(len(entry.File.Name), maxName)], entry.Line
}
