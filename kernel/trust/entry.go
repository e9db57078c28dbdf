package trust

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// entry is a file, a directory or a link on a path.
type entry struct {
	path     string
	mode     uint32 // with the type
	uid      uint32
	device   [2]uint32
	readOnly bool // on a file system that is mounted read-only
	isMount  bool // the root of a mount
	onRoot   bool // on the root file system
	inSticky bool // in a directory with the sticky bit
}

func read(path string) (entry, error) {
	var st unix.Statx_t
	if err := unix.Statx(unix.AT_FDCWD, path, unix.AT_SYMLINK_NOFOLLOW, unix.STATX_TYPE|unix.STATX_MODE|unix.STATX_UID, &st); err != nil {
		return entry{}, &os.PathError{Op: "stat", Path: path, Err: err}
	}
	e := entry{
		path: path, mode: uint32(st.Mode), uid: st.Uid, device: [2]uint32{st.Dev_major, st.Dev_minor},
		isMount: st.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0, // Linux 5.8; a bind mount has no other sign
	}
	if e.isLink() {
		return e, nil
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(path, &fs); err != nil {
		return e, &os.PathError{Op: "statfs", Path: path, Err: err}
	}
	e.readOnly = fs.Flags&unix.ST_RDONLY != 0
	return e, nil
}

func (e *entry) isLink() bool { return e.mode&unix.S_IFMT == unix.S_IFLNK }

func (e *entry) isDirectory() bool { return e.mode&unix.S_IFMT == unix.S_IFDIR }

// check returns an error if a user other than root and the given one can change what the entry
// contains or leads to. The directory of a link is checked for itself, so the owner of the link
// matters only where others can make one: in a directory with the sticky bit.
func (e *entry) check(user uint32) error {
	const writableByOthers = 0o022
	if e.uid != 0 && e.uid != user && (!e.isLink() || e.inSticky) {
		return fmt.Errorf("%s belongs to user %d, who could change it: chown root", e.path, e.uid)
	}
	if e.isLink() || e.mode&writableByOthers == 0 || e.readOnly && !e.onRoot || e.isDirectory() && e.mode&unix.S_ISVTX != 0 {
		return nil
	}
	return fmt.Errorf("users other than the owner can write to %s: chmod go-w", e.path)
}
