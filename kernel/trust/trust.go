// Package trust checks that only root and the user of this process can change a file, such as a
// program that is run with the capabilities of the exporter.
package trust

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// maxLinks is the maximum number of symbolic links in a path, as in path_resolution(7).
const maxLinks = 40

// Check returns an error that names what other users could change to give path another content: the
// file, a directory that leads to it, or a directory with a symbolic link on the way. Each must
// belong to root or to the user of this process, and no other user may write to it. The directories
// above a mount point are not checked.
//
// Write permissions do not count on a file system that is mounted read-only, unless it is the root
// file system: a sandbox can mount that read-only for this process alone (ProtectSystem=strict). In
// a directory with the sticky bit, other users cannot replace the files of root.
func Check(path string) error { return checkFor(path, uint32(os.Geteuid())) }

// checkFor checks that only root and one other user can change a file.
func checkFor(path string, user uint32) error {
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	w := walk{rest: split(path)}
	if err := w.enter("/"); err != nil {
		return err
	}
	for len(w.rest) > 0 {
		if err := w.step(); err != nil {
			return err
		}
	}
	for _, e := range append(w.passed, belowMount(w.chain)...) {
		if err := e.check(user); err != nil {
			return err
		}
	}
	return nil
}

// walk resolves a path as the kernel does.
type walk struct {
	rest   []string // components that are not resolved yet
	chain  []entry  // from the root to the current file
	passed []entry  // links that were followed, and what leads to them
	links  int
}

func split(path string) []string {
	return strings.FieldsFunc(path, func(r rune) bool { return r == '/' })
}

// step resolves one component.
func (w *walk) step() error {
	name := w.rest[0]
	w.rest = w.rest[1:]
	switch name {
	case ".":
		return nil
	case "..":
		w.chain = slices.Clone(w.chain[:max(1, len(w.chain)-1)])
		return nil
	}
	return w.enter(filepath.Join(w.chain[len(w.chain)-1].path, name))
}

// enter appends a file to the chain, or follows it if it is a link.
func (w *walk) enter(path string) error {
	e, err := read(path)
	if err != nil {
		return err
	}
	if n := len(w.chain); n > 0 {
		parent := &w.chain[n-1]
		e.inSticky = parent.mode&unix.S_ISVTX != 0
		e.isMount = e.isMount || e.device != parent.device
		e.onRoot = parent.onRoot && !e.isMount
	} else {
		e.onRoot = true
	}
	if !e.isLink() {
		w.chain = append(w.chain, e)
		return nil
	}
	if w.links++; w.links > maxLinks {
		return fmt.Errorf("%s: %w", path, unix.ELOOP)
	}
	target, err := os.Readlink(path)
	if err != nil {
		return err
	}
	w.passed = append(append(w.passed, belowMount(w.chain)...), e)
	if filepath.IsAbs(target) {
		w.chain = slices.Clone(w.chain[:1])
	}
	w.rest = append(split(target), w.rest...)
	return nil
}

// belowMount returns the end of a chain that begins at its last mount point.
func belowMount(chain []entry) []entry {
	for i := len(chain) - 1; i > 0; i-- {
		if chain[i].isMount {
			return chain[i:]
		}
	}
	return chain
}
