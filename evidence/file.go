package evidence

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// unfinished begins the names of files that are being written.
const unfinished = ".closewait-evidence-"

// WriteFile writes a single file that only its owner can read. It replaces another regular file if
// replace is set, never a link or a device.
func WriteFile(path string, data []byte, replace bool) error {
	dir, name := filepath.Split(path)
	root, err := os.OpenRoot(filepath.Clean(dir + "."))
	if err != nil {
		return err
	}
	defer root.Close()
	info, err := root.Lstat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is not a regular file: give another name, or - for standard output", path)
	case !replace:
		return fmt.Errorf("%s: %w", path, fs.ErrExist)
	}
	return write(root, name, data)
}

// write makes a file that is on disk as a whole, or not there.
func write(root *os.Root, name string, data []byte) error {
	fresh := unfinished + rand.Text()
	err := writeAll(root, fresh, data)
	if err == nil {
		err = root.Rename(fresh, name)
	}
	if err != nil {
		_ = root.Remove(fresh) // what remains is removed at the next start
		return err
	}
	return syncNames(root)
}

func writeAll(root *os.Root, name string, data []byte) (err error) {
	file, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if _, err := file.Write(data); err != nil {
		return err
	}
	return file.Sync()
}

// syncNames makes a new name in the directory durable.
func syncNames(root *os.Root) (err error) {
	dir, err := root.Open(".")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dir.Close()) }()
	return dir.Sync()
}
