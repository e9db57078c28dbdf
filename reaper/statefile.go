package reaper

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/reaper/policy"
)

// StateFile keeps the past actions and the cooldowns from one start of the exporter to the next.
type StateFile struct {
	path string
	boot func() (closewait.Boot, error)
	disk disk
}

// NewStateFile returns the StateFile of that path. boot identifies the current boot of the host.
func NewStateFile(path string, boot func() (closewait.Boot, error)) *StateFile {
	return &StateFile{path: path, boot: boot, disk: osDisk{}}
}

// load returns the state with the actions of the file. Before the first action there is no file.
func (f *StateFile) load(s policy.State, now time.Time) (policy.State, error) {
	boot, err := f.boot()
	if err != nil {
		return s, f.wrap("read", err)
	}
	data, err := f.disk.read(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err == nil {
		s, err = s.Decode(data, now, boot)
	}
	return s, f.wrap("read", err)
}

// save replaces the file. After a crash at any moment it has the old content or the new.
func (f *StateFile) save(s *policy.State, now time.Time) error {
	boot, err := f.boot()
	if err != nil {
		return f.wrap("write", err)
	}
	data, err := s.Encode(now, boot)
	if err != nil {
		return f.wrap("write", err)
	}
	fresh := f.path + ".new"
	err = f.write(fresh, data)
	if err == nil {
		err = f.disk.rename(fresh, f.path)
	}
	if err == nil {
		err = f.disk.syncDirectory(filepath.Dir(f.path))
	}
	return f.wrap("write", err)
}

func (f *StateFile) write(path string, data []byte) (err error) {
	file, err := f.disk.create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if _, err := file.Write(data); err != nil {
		return err
	}
	return file.Sync()
}

func (f *StateFile) wrap(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s state file %s: %w (without it the past actions are unknown: no action until limits.per has passed, see --reaper.state-file)", what, f.path, err)
}

// disk holds the state file. It has one method for each operation that can fail.
type disk interface {
	read(path string) ([]byte, error)
	create(path string) (diskFile, error)
	rename(from, to string) error
	syncDirectory(path string) error
}

type diskFile interface {
	io.WriteCloser
	Sync() error
}

type osDisk struct{}

// read refuses a link, which could lead to a file that another user has chosen, and anything that
// is not a regular file, such as a named pipe, which would block.
func (osDisk) read(path string) (data []byte, err error) {
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, refuseLink(err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a regular file", path)
	}
	if err != nil {
		return nil, err
	}
	return io.ReadAll(file)
}

// create makes a new file in place of one that a crash has left.
func (osDisk) create(path string) (diskFile, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
}

// rename does not replace a link: the administrator who made it expects another file to change.
func (osDisk) rename(from, to string) error {
	if info, err := os.Lstat(to); err == nil && info.Mode()&fs.ModeSymlink != 0 {
		return refuseLink(&fs.PathError{Op: "replace", Path: to, Err: syscall.ELOOP})
	}
	return os.Rename(from, to)
}

func (osDisk) syncDirectory(path string) error { return syncDirectory(path) }

// refuseLink explains the error of opening a link with O_NOFOLLOW.
func refuseLink(err error) error {
	if errors.Is(err, syscall.ELOOP) {
		return fmt.Errorf("%w: it is a symbolic link: give the path of the file itself (links to directories may be in it)", err)
	}
	return err
}
