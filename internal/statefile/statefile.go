// Package statefile reads and replaces the small private files in which the exporter remembers
// something from one start to the next. After a crash at any moment a file has its old content or
// its new one.
package statefile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// maxBytes limits what Read reads. The files are much shorter.
const maxBytes = 16 << 20

// Disk holds the files. It has one method for each operation that can fail.
type Disk interface {
	Read(path string) ([]byte, error)
	Create(path string) (File, error)
	Rename(from, to string) error
	SyncDirectory(path string) error
}

// File is a new file that is being written.
type File interface {
	io.WriteCloser
	Sync() error
}

// Replace replaces the content of a file, or makes it.
func Replace(disk Disk, path string, data []byte) error {
	fresh := path + ".new"
	err := write(disk, fresh, data)
	if err == nil {
		err = disk.Rename(fresh, path)
	}
	if err == nil {
		err = disk.SyncDirectory(filepath.Dir(path))
	}
	return err
}

func write(disk Disk, path string, data []byte) error {
	file, err := disk.Create(path)
	if err != nil {
		return err
	}
	return Fill(file, data)
}

// Fill writes the content of a new file, waits until it is on disk, and closes the file.
func Fill(file File, data []byte) (err error) {
	defer func() { err = errors.Join(err, file.Close()) }()
	if _, err := file.Write(data); err != nil {
		return err
	}
	return file.Sync()
}

// OS is the real Disk.
type OS struct{}

// Read refuses a link, which could lead to a file that another user has chosen, and anything that
// is not a regular file, such as a named pipe, which would block.
func (OS) Read(path string) (data []byte, err error) {
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, RefuseLink(err)
	}
	defer file.Close()
	info, err := file.Stat()
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is not a regular file", path)
	case info.Size() > maxBytes:
		return nil, fmt.Errorf("%s is longer than %d MiB, so this program has not written it", path, maxBytes>>20)
	}
	return io.ReadAll(io.LimitReader(file, maxBytes))
}

// Create makes a new file in place of one that a crash has left.
func (OS) Create(path string) (File, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
}

// Rename does not replace a link: the administrator who made it expects another file to change.
func (OS) Rename(from, to string) error {
	if info, err := os.Lstat(to); err == nil && info.Mode()&fs.ModeSymlink != 0 {
		return RefuseLink(&fs.PathError{Op: "replace", Path: to, Err: syscall.ELOOP})
	}
	return os.Rename(from, to)
}

// SyncDirectory makes new names in a directory durable.
func (OS) SyncDirectory(path string) (err error) {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dir.Close()) }()
	return Flush(dir)
}

// Flush waits until the file is on disk. A pipe or a terminal returns EINVAL (fsync(2)).
func Flush(file *os.File) error {
	if err := file.Sync(); err != nil && !errors.Is(err, syscall.EINVAL) {
		return err
	}
	return nil
}

// RefuseLink explains the error of opening a link with O_NOFOLLOW.
func RefuseLink(err error) error {
	if errors.Is(err, syscall.ELOOP) {
		return fmt.Errorf("%w: it is a symbolic link: give the path of the file itself (links to directories may be in it)", err)
	}
	return err
}
