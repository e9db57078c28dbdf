package symbols

import (
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"sort"
	"strings"

	"closewait_exporter/origin"
)

// goTable is the table of functions and lines that each Go program has, stripped or not (struct
// pcHeader in runtime/symtab.go). debug/gosym reads it too, but not the calls that the compiler has
// inlined, without which the line belongs to another function than the name.
type goTable struct {
	order     binary.ByteOrder
	text      uint64 // address of the first function
	functions int
	names     []byte
	units     []byte // of 4 bytes each: offsets of the files of compilation units
	files     []byte
	programs  []byte // values by address, see value
	ftab      []byte // entries and functions
	quantum   uint64 // of instructions, in bytes

	inlined []byte // what is behind go:func.*; nil: not known where that is
}

// The first word of the table, for Go 1.20 and later.
const goMagic = 0xfffffff1

// The numbers of the tables of a function (internal/abi/symtab.go).
const (
	inlineIndexTable = 2 // FUNCDATA_InlTree has one entry per inlined call, PCDATA_InlTreeIndex says which
	inlineTreeTable  = 3
)

// errNoGoTable says that a table is not of Go 1.20 or later.
var errNoGoTable = errors.New("no table of Go 1.20 or later")

// parseGoTable reads the header of the table.
func parseGoTable(data []byte, order binary.ByteOrder, text uint64) (*goTable, error) {
	const header = 8 + 8*8
	if len(data) < header || order.Uint32(data) != goMagic || data[7] != 8 {
		return nil, errNoGoTable
	}
	word := func(i int) uint64 { return order.Uint64(data[8+8*i:]) }
	part := func(i int) []byte { return data[min(word(i), uint64(len(data))):] }
	t := &goTable{
		order: order, text: text, quantum: uint64(data[6]),
		names: part(3), units: part(4), files: part(5), programs: part(6), ftab: part(7),
	}
	const entry = 8
	if n := word(0); n > 0 && n < uint64(len(t.ftab))/entry {
		t.functions = int(n)
		return t, nil
	}
	return nil, fmt.Errorf("%w: %d functions in %d bytes", errNoGoTable, word(0), len(t.ftab))
}

// frames returns the function at an address and what is inlined there, innermost first.
func (t *goTable) frames(address uint64) []origin.Frame {
	f, found := t.function(address)
	if !found {
		return nil
	}
	tree := t.inlineTree(&f)
	var list []origin.Frame
	const deepest = 64
	for pc := address; len(list) < deepest; {
		file, line := t.line(&f, pc)
		index := -1
		if tree != nil {
			index = t.inlineIndex(&f, pc)
		}
		name, parent, inlined := t.inlinedCall(tree, index)
		if !inlined {
			return append(list, origin.Frame{Function: printedName(f.name), File: file, Line: line, Language: origin.Go})
		}
		list = append(list, origin.Frame{Function: printedName(name), File: file, Line: line, Language: origin.Go})
		pc = f.entry + parent
	}
	return list
}

// printedName leaves out the types of a generic function, as the runtime does in its stacks.
func printedName(name string) string {
	from, to := strings.IndexByte(name, '['), strings.LastIndexByte(name, ']')
	if from < 0 || to <= from {
		return name
	}
	return name[:from] + "[...]" + name[to+1:]
}

// goFunction is a function of the table (struct _func in runtime/runtime2.go).
type goFunction struct {
	entry uint64
	data  []byte
	name  string
}

func (t *goTable) function(address uint64) (f goFunction, found bool) {
	const size = 8 // two numbers: the entry, and the offset of the function
	if address < t.text || address-t.text > 1<<32-1 {
		return f, false
	}
	offset := uint32(address - t.text)
	entry := func(i int) uint32 { return t.order.Uint32(t.ftab[size*i:]) }
	at := sort.Search(t.functions+1, func(i int) bool { return entry(i) > offset }) - 1 // the last entry is an end
	if at < 0 || at == t.functions {
		return f, false
	}
	start := uint64(t.order.Uint32(t.ftab[size*at+4:]))
	const header = 44
	if start+header > uint64(len(t.ftab)) {
		return f, false
	}
	f.data = t.ftab[start:]
	f.entry = t.text + uint64(t.order.Uint32(f.data))
	f.name = text(t.names, uint64(t.order.Uint32(f.data[4:])))
	return f, f.name != ""
}

// The offsets of the fields of a function.
const (
	pcfileField, pclnField, npcdataField, unitField = 20, 24, 28, 32
	nfuncdataField, pcdataField                     = 43, 44
)

func (t *goTable) field(f *goFunction, offset int) uint32 {
	if offset < 0 || offset+4 > len(f.data) {
		return 0
	}
	return t.order.Uint32(f.data[offset:])
}

// line returns the position at an address, which may be in inlined code.
func (t *goTable) line(f *goFunction, pc uint64) (file string, line int) {
	line = max(t.value(f, t.field(f, pclnField), pc), 0)
	number := t.value(f, t.field(f, pcfileField), pc)
	at := (uint64(t.field(f, unitField)) + uint64(max(number, 0))) * 4
	if number < 0 || at+4 > uint64(len(t.units)) {
		return "", line
	}
	if file = text(t.files, uint64(t.order.Uint32(t.units[at:]))); file == "?" {
		return "", line
	}
	return file, line
}

// inlineIndex returns the number of the inlined call at an address, -1 for none.
func (t *goTable) inlineIndex(f *goFunction, pc uint64) int {
	if t.field(f, npcdataField) <= inlineIndexTable {
		return -1
	}
	return t.value(f, t.field(f, pcdataField+4*inlineIndexTable), pc)
}

// inlineTree returns the inlined calls of a function, nil if there are none.
func (t *goTable) inlineTree(f *goFunction) []byte {
	tables := t.field(f, npcdataField)
	if int(f.data[nfuncdataField]) <= inlineTreeTable || tables > 16 {
		return nil
	}
	offset := t.field(f, pcdataField+4*int(tables)+4*inlineTreeTable) // all bits are set if there is none
	return t.inlined[min(uint64(offset), uint64(len(t.inlined))):]
}

// inlinedCallSize is the size of struct inlinedCall in runtime/symtabinl.go.
const inlinedCallSize = 16

func (t *goTable) inlinedCall(tree []byte, index int) (name string, parent uint64, inlined bool) {
	if index < 0 || (index+1)*inlinedCallSize > len(tree) {
		return "", 0, false
	}
	call := tree[index*inlinedCallSize:]
	name = text(t.names, uint64(t.order.Uint32(call[4:])))
	return name, uint64(t.order.Uint32(call[8:])), name != ""
}

// value runs the program at an offset up to an address, and returns the value there: pairs of
// variable-length numbers, the change of the value and the length of code that has it. It returns
// -1 where there is none.
func (t *goTable) value(f *goFunction, offset uint32, target uint64) int {
	if offset == 0 || uint64(offset) >= uint64(len(t.programs)) {
		return -1
	}
	program, value, pc := t.programs[offset:], int64(-1), f.entry
	for first := true; ; first = false {
		change, n := binary.Uvarint(program)
		if n <= 0 || (change == 0 && !first) {
			return -1
		}
		program = program[n:]
		length, n := binary.Uvarint(program)
		if n <= 0 {
			return -1
		}
		program = program[n:]
		if change&1 != 0 { // zigzag encoding
			value += int64(^(change >> 1))
		} else {
			value += int64(change >> 1)
		}
		pc += length * t.quantum
		if target < pc {
			return int(int32(value))
		}
	}
}

// maxName bounds names of functions and files. An answer of the child process has room for 64
// inlined calls, with names in which each byte is escaped.
const maxName = 1024

// text returns the string that begins at an offset and ends with a 0.
func text(data []byte, offset uint64) string {
	if offset >= uint64(len(data)) {
		return ""
	}
	data = data[offset:]
	name, _, found := strings.Cut(string(data[:min(len(data), maxName)]), "\x00")
	if !found {
		return ""
	}
	return name
}

// The places of two addresses in struct moduledata (runtime/symtab.go), in words. They are the same
// from Go 1.20 to 1.26.
const (
	textWord   = 22
	gofuncWord = 40
)

// openGoTable finds the table in an executable file. It needs no symbols.
func openGoTable(file *elf.File) (*goTable, error) {
	section := goTableSection(file)
	if section == nil || file.Class != elf.ELFCLASS64 {
		return nil, errNoGoTable
	}
	data, err := sectionData(section)
	if err != nil {
		return nil, err
	}
	text, gofunc := moduleData(file, section.Addr)
	if text == 0 {
		first := file.Section(".text")
		if first == nil {
			return nil, errNoGoTable
		}
		text = first.Addr
	}
	t, err := parseGoTable(data, file.ByteOrder, text)
	if err == nil && gofunc != 0 {
		t.inlined = memoryFrom(file, gofunc)
	}
	return t, err
}

func goTableSection(file *elf.File) *elf.Section {
	for _, name := range []string{".gopclntab", ".data.rel.ro.gopclntab"} {
		if section := file.Section(name); section != nil {
			return section
		}
	}
	return nil
}

// moduleData finds the address of the first function and of go:func.* in struct moduledata, which
// begins with the address of the table. In a position independent program the addresses are in the
// relocations. It returns 0 where they are not found.
func moduleData(file *elf.File, table uint64) (text, gofunc uint64) {
	for _, section := range file.Sections {
		if section.Type != elf.SHT_PROGBITS || section.Flags&elf.SHF_WRITE == 0 {
			continue
		}
		data, err := sectionData(section)
		if err != nil {
			continue
		}
		for ; len(data) >= 8*(gofuncWord+1); data = data[8:] {
			if file.ByteOrder.Uint64(data) == table {
				return file.ByteOrder.Uint64(data[8*textWord:]), file.ByteOrder.Uint64(data[8*gofuncWord:])
			}
		}
	}
	return relocatedModuleData(file, table)
}

func relocatedModuleData(file *elf.File, table uint64) (text, gofunc uint64) {
	const size = 24 // Elf64_Rela: offset, info, addend
	var at uint64
	addends := map[uint64]uint64{}
	for _, section := range file.Sections {
		if section.Type != elf.SHT_RELA {
			continue
		}
		data, err := sectionData(section)
		if err != nil {
			continue
		}
		for ; len(data) >= size; data = data[size:] {
			offset, addend := file.ByteOrder.Uint64(data), file.ByteOrder.Uint64(data[16:])
			if addend == table && at == 0 {
				at = offset
			}
			addends[offset] = addend
		}
	}
	if at == 0 {
		return 0, 0
	}
	return addends[at+8*textWord], addends[at+8*gofuncWord]
}
