package evidence

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"closewait_exporter/internal/statefile"
)

// unfinished begins the names of files that are being written.
const unfinished = ".closewait-evidence-"

// WriteFile writes a single file that only its owner can read. It replaces another regular file if
// replace is set, never a link or a device.
func WriteFile(path string, data []byte, replace bool) error {
	root, name, err := openFor(path, replace)
	if err != nil {
		return err
	}
	defer root.Close()
	return write(root, name, data)
}

// CheckFile returns why WriteFile would not write a file, as far as that is known before.
func CheckFile(path string, replace bool) error {
	root, _, err := openFor(path, replace)
	if err == nil {
		root.Close()
	}
	return err
}

// openFor opens the directory of a file that can be written.
func openFor(path string, replace bool) (root *os.Root, name string, err error) {
	dir, name := filepath.Split(path)
	if root, err = os.OpenRoot(filepath.Clean(dir + ".")); err != nil {
		return nil, "", err
	}
	info, err := root.Lstat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return root, name, nil
	case err != nil:
	case !info.Mode().IsRegular():
		err = fmt.Errorf("%s is not a regular file: give another name", path)
	case !replace:
		err = fmt.Errorf("%s: %w", path, fs.ErrExist)
	default:
		return root, name, nil
	}
	root.Close()
	return nil, "", err
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

func writeAll(root *os.Root, name string, data []byte) error {
	file, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	return statefile.Fill(file, data)
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
