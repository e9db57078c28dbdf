package symbols

import (
	"debug/elf"
	"fmt"
)

// maxSection bounds a section that is read, in bytes, also when it is compressed. The largest known
// programs have tables of a few hundred MB.
const maxSection = 512 << 20

// sectionData reads a section.
func sectionData(section *elf.Section) ([]byte, error) {
	if section.Size > maxSection {
		return nil, fmt.Errorf("section %s has %d bytes, more than %d", section.Name, section.Size, maxSection)
	}
	data, err := section.Data()
	if err != nil {
		return nil, fmt.Errorf("read section %s: %w", section.Name, err)
	}
	return data, nil
}

// memoryFrom returns the memory that a file describes, from an address to the end of its section.
func memoryFrom(file *elf.File, address uint64) []byte {
	for _, section := range file.Sections {
		if section.Type != elf.SHT_PROGBITS || address < section.Addr || address-section.Addr >= section.Size {
			continue
		}
		data, err := sectionData(section)
		if err != nil {
			return nil
		}
		return data[min(address-section.Addr, uint64(len(data))):]
	}
	return nil
}
