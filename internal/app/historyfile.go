package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"

	"closewait_exporter/closewait"
	"closewait_exporter/history"
	"closewait_exporter/internal/statefile"
)

// historyInterval is the time between two writes of the history file: what a crash loses at most.
const historyInterval = 5 * time.Minute

// historyPath returns the path of the history file: the flag, else a file in the state directory
// that systemd has made (StateDirectory= in systemd.exec(5)), else none.
func historyPath(flag string) string {
	if flag != "" {
		return flag
	}
	directory, _, _ := strings.Cut(os.Getenv("STATE_DIRECTORY"), ":")
	if directory == "" {
		return ""
	}
	return filepath.Join(directory, "history.json")
}

// historyFile keeps the history from one start of the exporter to the next.
type historyFile struct {
	path   string
	boot   func() (closewait.Boot, error)
	disk   statefile.Disk
	logger log.Logger
	saved  time.Time // the last View in the file
	err    error     // why it could not be written last time
}

func newHistoryFile(path string, boot func() (closewait.Boot, error), logger log.Logger) *historyFile {
	return &historyFile{path: path, boot: boot, disk: statefile.OS{}, logger: logger}
}

// load returns the history of the file, an empty one if there is no file or it cannot be used. A
// file that cannot be used is moved aside, so that the next write does not replace it. While the
// boot is not known, nothing is written either.
func (f *historyFile) load(now time.Time) *history.History {
	boot, err := f.boot()
	if err != nil {
		level.Warn(f.logger).Log("msg", "Cannot use the history file, starting with an empty history", "err", err)
		return history.New()
	}
	h, err := f.read(now, boot)
	if err == nil {
		return h
	}
	aside := f.path + ".unusable"
	if moved := f.disk.Rename(f.path, aside); moved != nil {
		err = fmt.Errorf("%w (%w)", err, moved)
	}
	level.Warn(f.logger).Log("msg", "Cannot use the history file, starting with an empty history", "moved_to", aside, "err", err)
	return history.New()
}

func (f *historyFile) read(now time.Time, boot closewait.Boot) (*history.History, error) {
	data, err := f.disk.Read(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return history.New(), nil
	}
	if err != nil {
		return nil, err
	}
	return history.Decode(data, now, boot)
}

// keep writes the file from time to time, and a last time when life ends.
func (f *historyFile) keep(life context.Context, h *history.History) {
	ticks := time.NewTicker(historyInterval)
	defer ticks.Stop()
	for {
		select {
		case <-ticks.C:
			f.save(h)
		case <-life.Done():
			f.save(h)
			return
		}
	}
}

// save writes the file if there is something new. It logs a failure once, and when it has ended.
func (f *historyFile) save(h *history.History) {
	last := h.LastView()
	if last.Equal(f.saved) {
		return
	}
	err := f.write(h)
	switch {
	case err != nil && f.err == nil:
		level.Warn(f.logger).Log("msg", "Cannot write the history file, a restart will lose the history", "err", err)
	case err == nil && f.err != nil:
		level.Info(f.logger).Log("msg", "History file written again")
	}
	if f.err = err; err == nil {
		f.saved = last
	}
}

func (f *historyFile) write(h *history.History) error {
	boot, err := f.boot()
	if err != nil {
		return err
	}
	data, err := h.Encode(time.Now(), boot)
	if err != nil {
		return err
	}
	if err := statefile.Replace(f.disk, f.path, data); err != nil {
		return fmt.Errorf("%w: --history.file needs a path in a directory that the exporter may write", err)
	}
	return nil
}
