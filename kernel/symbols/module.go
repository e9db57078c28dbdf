package symbols

import (
	"debug/elf"
	"fmt"
	"io"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"closewait_exporter/kernel/host"
	"closewait_exporter/origin"
)

// table gives names to addresses as a file counts them. It returns nil for unknown ones.
type table interface {
	frames(address uint64) []origin.Frame
}

// module is an executable file.
type module struct {
	table    table // nil: there is none
	segments []elf.ProgHeader
}

// openModule reads the tables of a mapped file. The file may be in another mount namespace, or
// deleted.
func openModule(process host.Directory, m *mapping) (*module, error) {
	f, err := openMapped(process, m)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readModule(f)
}

func readModule(f io.ReaderAt) (*module, error) {
	file, err := elf.NewFile(f)
	if err != nil {
		return nil, err
	}
	mod := &module{}
	for _, segment := range file.Progs {
		if segment.Type == elf.PT_LOAD && segment.Flags&elf.PF_X != 0 {
			mod.segments = append(mod.segments, segment.ProgHeader)
		}
	}
	goTable, err := openGoTable(file)
	if err == nil {
		mod.table = goTable
		return mod, nil
	}
	native, err := openNativeTable(file)
	if err != nil {
		return mod, err
	}
	mod.table = native
	return mod, nil
}

// openMapped opens a mapped file: by the mapping, which needs CAP_CHECKPOINT_RESTORE, else by its
// path as the process sees it. Then it must have the same inode number.
func openMapped(process host.Directory, m *mapping) (*os.File, error) {
	fd, err := unix.Openat(int(process), "map_files/"+m.entry(), unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		if fd, err = openInRoot(process, m.name()); err != nil {
			return nil, err
		}
	}
	return reopen(fd, m.name(), func(st *unix.Stat_t) error {
		if st.Ino != m.inode {
			return fmt.Errorf("%s was replaced", m.name())
		}
		return nil
	})
}

// openInRoot opens a path as a process sees it. Links in it cannot lead out of its root.
func openInRoot(process host.Directory, path string) (fd int, err error) {
	root, err := unix.Openat(int(process), "root", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("open root directory: %w", err)
	}
	defer unix.Close(root)
	how := &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS}
	if fd, err = unix.Openat2(root, path, how); err != nil {
		return -1, fmt.Errorf("open %s: %w", path, err)
	}
	return fd, nil
}

// reopen opens a file of which fd is only a path, if it is a regular file and passes a check: to
// open a device or a pipe can have effects. It closes fd.
func reopen(fd int, name string, check func(*unix.Stat_t) error) (*os.File, error) {
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, fmt.Errorf("stat %s: %w", name, err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return nil, fmt.Errorf("%s is not a regular file", name)
	}
	if err := check(&st); err != nil {
		return nil, err
	}
	opened, err := unix.Open("/proc/self/fd/"+strconv.Itoa(fd), unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", name, err)
	}
	return os.NewFile(uintptr(opened), name), nil
}

// frames returns what is at an address of the process, which is in a mapping of the file.
func (mod *module) frames(m *mapping, address uint64) []origin.Frame {
	if mod.table == nil {
		return nil
	}
	offset := address - m.start + m.offset
	for _, s := range mod.segments {
		if s.Off <= offset && offset-s.Off < s.Filesz {
			return mod.table.frames(offset - s.Off + s.Vaddr)
		}
	}
	return nil
}
