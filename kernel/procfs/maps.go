package procfs

import (
	"bufio"
	"context"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"closewait_exporter/kernel/host"
)

// MapsLibrary reports whether a process has mapped a file with this base name as executable.
// Reading /proc/PID/maps can hang.
func MapsLibrary(ctx context.Context, process host.Directory, name string) (bool, error) {
	fd, err := unix.Openat(int(process), "maps", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return false, os.NewSyscallError("open maps", err)
	}
	maps := os.NewFile(uintptr(fd), "maps")
	defer maps.Close()
	lines := bufio.NewScanner(maps)
	for lines.Scan() && ctx.Err() == nil {
		if executes(lines.Text(), name) {
			return true, nil
		}
	}
	if ctx.Err() != nil {
		return false, context.Cause(ctx)
	}
	return false, lines.Err()
}

// executes reports whether a line of maps is an executable mapping of a file with this base name:
// "7f6bf4851000-7f6bf5634000 r-xp 00251000 fe:00 315152     /usr/lib/jvm/lib/server/libjvm.so".
func executes(line, name string) bool {
	const permissions, file = 1, 5
	fields := strings.Fields(line)
	if len(fields) <= file || !strings.Contains(fields[permissions], "x") {
		return false
	}
	_, mapped, _ := strings.Cut(line, "/")
	return path.Base(strings.TrimSuffix(mapped, " (deleted)")) == name
}
