package evidence

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// The bounds of a directory. When one is exceeded, the oldest files go first. docs/EVIDENCE.md
// names them.
const (
	MaxFiles = 100
	MaxBytes = 64 << 20 // of all files together
	MaxAge   = 30 * 24 * time.Hour
)

// maxSameID is the maximum number of files of one remediation.
const maxSameID = 9

// names matches the files of a Store. Other files in its directory are never removed.
var names = regexp.MustCompile(`^[A-Za-z0-9._-]+-[0-9]+-[0-9a-z]+(-[2-9])?\.json$`)

// Store is a directory of evidence. It is safe for concurrent use by one program.
type Store struct {
	dir     string
	trusted func(path string) error
	mu      sync.Mutex
}

// Open returns the Store in a directory, which is made if only its last element is missing. trusted
// returns an error if other users can change what a path leads to.
func Open(dir string, trusted func(path string) error) (*Store, error) {
	s := &Store{dir: dir, trusted: trusted}
	return s, s.in(func(*os.Root) error { return nil })
}

// Clean removes files that a crash has left unfinished. No other program may write to the directory
// meanwhile.
func (s *Store) Clean() error { return s.in(removeUnfinished) }

// Sweep removes files that are too old.
func (s *Store) Sweep() error {
	return s.in(func(root *os.Root) error { return sweep(root, 0, 0, time.Now()) })
}

// Write writes a file that is named after the id of a remediation, which only has letters, digits,
// dots, dashes and underscores, and returns its path. The file is on disk then. Older files make
// room for it.
func (s *Store) Write(id string, data []byte) (path string, err error) {
	err = s.in(func(root *os.Root) error {
		name, err := freeName(root, id)
		if err == nil {
			err = sweep(root, 1, int64(len(data)), time.Now())
		}
		if err == nil {
			err = write(root, name, data)
		}
		path = filepath.Join(s.dir, name)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("write evidence: %w", err)
	}
	return path, nil
}

// in calls f with the directory, one call at a time.
func (s *Store) in(f func(*os.Root) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	root, err := s.open()
	if err != nil {
		return err
	}
	defer root.Close()
	return f(root)
}

// open opens the directory. All files are used relative to it, so that nothing that happens to the
// path afterwards leads elsewhere.
func (s *Store) open() (*os.Root, error) {
	if err := os.Mkdir(s.dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("make directory of evidence: %w", err)
	}
	if err := s.trusted(s.dir); err != nil {
		return nil, fmt.Errorf("directory of evidence: %w", err)
	}
	root, err := os.OpenRoot(s.dir)
	if err != nil {
		return nil, fmt.Errorf("open directory of evidence: %w", err)
	}
	if err := requirePrivate(root, s.dir); err != nil {
		root.Close()
		return nil, err
	}
	return root, nil
}

// requirePrivate returns an error if other users can make or replace files in a directory.
func requirePrivate(root *os.Root, path string) error {
	const writableByOthers = 0o022
	info, err := root.Stat(".")
	if err != nil {
		return fmt.Errorf("directory of evidence: %w", err)
	}
	owner := info.Sys().(*syscall.Stat_t).Uid
	if owner != 0 && int(owner) != os.Geteuid() {
		return fmt.Errorf("directory of evidence: %s belongs to user %d, who could change what is in it: chown it to the user of the exporter", path, owner)
	}
	if info.Mode().Perm()&writableByOthers != 0 {
		return fmt.Errorf("directory of evidence: users other than the owner can write to %s: chmod go-w, or give a directory of its own", path)
	}
	return nil
}

// freeName returns the first name of a file for a remediation that is not taken.
func freeName(root *os.Root, id string) (string, error) {
	name := id + ".json"
	if !names.MatchString(name) {
		return "", fmt.Errorf("%q is no id of a remediation", id)
	}
	for n := 2; ; n++ {
		_, err := root.Lstat(name)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return name, nil
		case err != nil:
			return "", err
		case n > maxSameID:
			return "", fmt.Errorf("there are %d files of this remediation already", maxSameID)
		}
		name = fmt.Sprintf("%s-%d.json", id, n)
	}
}

// sweep removes the oldest files until there is room for more of them, with that number of bytes.
func sweep(root *os.Root, files int, bytes int64, now time.Time) error {
	kept, err := list(root)
	if err != nil {
		return err
	}
	for _, f := range kept {
		bytes += f.Size()
	}
	files += len(kept)
	for _, f := range kept {
		if files <= MaxFiles && bytes <= MaxBytes && now.Sub(f.ModTime()) <= MaxAge {
			break // the others are newer
		}
		if err := root.Remove(f.Name()); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove old evidence: %w", err)
		}
		files, bytes = files-1, bytes-f.Size()
	}
	return nil
}

// list returns the files of a Store, oldest first.
func list(root *os.Root) (files []fs.FileInfo, err error) {
	err = each(root, func(name string) {
		if !names.MatchString(name) {
			return
		}
		if info, err := root.Lstat(name); err == nil && info.Mode().IsRegular() {
			files = append(files, info)
		}
	})
	slices.SortStableFunc(files, func(a, b fs.FileInfo) int { return a.ModTime().Compare(b.ModTime()) })
	return files, err
}

func removeUnfinished(root *os.Root) error {
	var failed error
	err := each(root, func(name string) {
		if strings.HasPrefix(name, unfinished) {
			failed = errors.Join(failed, root.Remove(name))
		}
	})
	if err = errors.Join(err, failed); err != nil {
		return fmt.Errorf("remove unfinished evidence: %w", err)
	}
	return nil
}

// each calls f with the names in a directory.
func each(root *os.Root, f func(name string)) error {
	dir, err := root.Open(".")
	if err != nil {
		return err
	}
	defer dir.Close()
	entries, err := dir.Readdirnames(-1)
	for _, name := range entries {
		f(name)
	}
	return err
}
