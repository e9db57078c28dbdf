package reaper

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"closewait_exporter/internal/statefile"
)

// AuditLog stores Records. An action whose Record cannot be stored is not carried out.
type AuditLog interface {
	Write(Record) error
}

// NoAuditLog is used without an audit file: the log has the same lines.
type NoAuditLog struct{}

// Write stores nothing.
func (NoAuditLog) Write(Record) error { return nil }

// AuditFile is an AuditLog with one JSON object per line. The file is opened for each line, so that
// it can be rotated at any time, and synced before the action. A symbolic link in its place is
// refused. It is safe for concurrent use.
type AuditFile struct {
	name string
	mu   sync.Mutex
}

// NewAuditFile returns the file of that name. The first Write creates it.
func NewAuditFile(name string) *AuditFile { return &AuditFile{name: name} }

// Write appends a line.
func (f *AuditFile) Write(r Record) error {
	line, err := json.Marshal(r)
	if err == nil {
		err = f.append(append(line, '\n'))
	}
	if err != nil {
		return fmt.Errorf("write audit record: %w (without a record no action is taken: see --reaper.audit-file)", err)
	}
	return nil
}

// append adds a line. The kernel extends a file page by page, so without the lock cutShort could
// see a part of a line that is still being written.
func (f *AuditFile) append(line []byte) (err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, missing := os.Lstat(f.name)
	file, err := os.OpenFile(f.name, os.O_RDWR|os.O_APPEND|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return statefile.RefuseLink(err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if cutShort(file) {
		line = append([]byte{'\n'}, line...)
	}
	if _, err := file.Write(line); err != nil {
		return err
	}
	if err := statefile.Flush(file); err != nil {
		return err
	}
	if missing != nil {
		return statefile.OS{}.SyncDirectory(filepath.Dir(f.name))
	}
	return nil
}

// cutShort reports whether the last line lacks its end, as after a full disk or a crash.
func cutShort(file *os.File) bool {
	info, err := file.Stat()
	if err != nil || !info.Mode().IsRegular() || info.Size() == 0 {
		return false
	}
	last := make([]byte, 1)
	_, err = file.ReadAt(last, info.Size()-1)
	return err == nil && last[0] != '\n'
}
