package reaper

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
)

// Journal keeps Records. What it cannot keep is not done.
type Journal interface {
	Write(Record) error
}

// NoJournal is for those who give no audit file: the log has the same lines.
type NoJournal struct{}

// Write keeps nothing.
func (NoJournal) Write(Record) error { return nil }

// AuditFile is a Journal of one JSON object a line. The file is opened for each line, so that it
// can be rotated at any time, and it is synced before anything is done. It is safe for concurrent use:
// ladders write when they like.
type AuditFile struct {
	name    string
	writing sync.Mutex
}

// NewAuditFile returns the file of that name, which is made when there is something to write.
func NewAuditFile(name string) *AuditFile { return &AuditFile{name: name} }

// Write appends a line.
func (f *AuditFile) Write(r Record) error {
	line, err := json.Marshal(r)
	if err == nil {
		err = f.append(append(line, '\n'))
	}
	if err != nil {
		return fmt.Errorf("write audit record: %w (without a record nothing is done: see --reaper.audit-file)", err)
	}
	return nil
}

// append adds a line. While somebody else is writing one, the file can end in the middle of it, like a line that
// was cut short: the kernel makes a file longer page by page.
func (f *AuditFile) append(line []byte) (err error) {
	f.writing.Lock()
	defer f.writing.Unlock()
	_, missing := os.Stat(f.name)
	file, err := os.OpenFile(f.name, os.O_RDWR|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if cutShort(file) {
		line = append([]byte{'\n'}, line...)
	}
	if _, err := file.Write(line); err != nil {
		return err
	}
	if err := flush(file); err != nil {
		return err
	}
	if missing != nil {
		return syncDirectory(filepath.Dir(f.name))
	}
	return nil
}

// cutShort tells whether the last line lacks its end, as after a full disk or a crash.
func cutShort(file *os.File) bool {
	info, err := file.Stat()
	if err != nil || !info.Mode().IsRegular() || info.Size() == 0 {
		return false
	}
	last := make([]byte, 1)
	_, err = file.ReadAt(last, info.Size()-1)
	return err == nil && last[0] != '\n'
}

// flush waits until the file is on disk. A pipe or a terminal has none, and says EINVAL (fsync(2)).
func flush(file *os.File) error {
	if err := file.Sync(); err != nil && !errors.Is(err, syscall.EINVAL) {
		return err
	}
	return nil
}

// syncDirectory makes a new name in the directory survive a crash.
func syncDirectory(name string) (err error) {
	dir, err := os.Open(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dir.Close()) }()
	return flush(dir)
}
