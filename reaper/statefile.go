package reaper

import (
	"errors"
	"fmt"
	"io/fs"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/internal/statefile"
	"closewait_exporter/reaper/policy"
)

// StateFile keeps the past actions and the cooldowns from one start of the exporter to the next.
type StateFile struct {
	path string
	boot func() (closewait.Boot, error)
	disk statefile.Disk
}

// NewStateFile returns the StateFile of that path. boot identifies the current boot of the host.
func NewStateFile(path string, boot func() (closewait.Boot, error)) *StateFile {
	return &StateFile{path: path, boot: boot, disk: statefile.OS{}}
}

// load returns the state with the actions of the file. Before the first action there is no file.
func (f *StateFile) load(s policy.State, now time.Time) (policy.State, error) {
	boot, err := f.boot()
	if err != nil {
		return s, f.wrap("read", err)
	}
	data, err := f.disk.Read(f.path)
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
	return f.wrap("write", statefile.Replace(f.disk, f.path, data))
}

func (f *StateFile) wrap(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s state file %s: %w (without it the past actions are unknown: no action until limits.per has passed, see --reaper.state-file)", what, f.path, err)
}
