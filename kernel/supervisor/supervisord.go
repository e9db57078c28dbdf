package supervisor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"closewait_exporter/closewait"
	"closewait_exporter/kernel/procfs"
)

// supervisordFiles are where supervisord finds its configuration without an option, but for the
// places that depend on its working directory (http://supervisord.org/configuration.html).
var supervisordFiles = []string{"/etc/supervisord.conf", "/etc/supervisor/supervisord.conf"}

// Limits of what is read of a configuration.
const (
	maxConfigBytes = 1 << 20
	maxConfigFiles = 256
)

// isSupervisord reports whether a process runs supervisord, which is a Python script.
func (f *Finder) isSupervisord(ctx context.Context, id closewait.ProcessID, exe string) bool {
	if !strings.HasPrefix(path.Base(exe), "python") {
		return false
	}
	script, _, err := f.scriptOf(ctx, id)
	return err == nil && path.Base(script) == "supervisord"
}

// scriptOf returns the script of an interpreter, and the arguments of that.
func (f *Finder) scriptOf(ctx context.Context, id closewait.ProcessID) (script string, args []string, err error) {
	line, err := f.commands.Of(ctx, &closewait.Process{ID: id})
	if err != nil {
		return "", nil, err
	}
	for i, arg := range strings.Fields(line) {
		if i > 0 && !strings.HasPrefix(arg, "-") {
			return arg, strings.Fields(line)[i+1:], nil
		}
	}
	return "", nil, nil
}

// supervisord returns the Supervision of a child of supervisord. Which program of its configuration
// the child is does not show, so the one that restarts least counts for all.
func (f *Finder) supervisord(ctx context.Context, id closewait.ProcessID, child *closewait.Process) closewait.Supervision {
	parent, _, err := procfs.NewDescriber(f.host).Describe(id, procfs.Known{})
	const root = 0
	switch {
	case err != nil:
		return closewait.Unsupervised("its parent, supervisord, could not be read: " + err.Error())
	case parent.UID != root || child.Container != "" || child.Pod != "" || child.Nested != "":
		return closewait.Unsupervised("only the configuration of a supervisord that runs as root on the host is read, so autorestart is unknown")
	}
	_, args, err := f.scriptOf(ctx, id)
	var policy autorestart
	if err == nil {
		policy, err = readSupervisord(configOf(args))
	}
	if err != nil {
		return closewait.Unsupervised("autorestart of supervisord is unknown: " + err.Error())
	}
	return policy.supervision(id.PID)
}

// configOf returns the configuration files that the arguments of supervisord can stand for.
func configOf(args []string) []string {
	for i, arg := range args {
		switch name, value, assigned := strings.Cut(arg, "="); {
		case (name == "-c" || name == "--configuration") && assigned:
			return []string{value}
		case (arg == "-c" || arg == "--configuration") && i+1 < len(args):
			return []string{args[i+1]}
		case strings.HasPrefix(arg, "-c") && len(arg) > 2:
			return []string{arg[2:]}
		}
	}
	return supervisordFiles
}

// autorestart says when supervisord starts a program again.
type autorestart int

const (
	never autorestart = iota
	unexpected
	always
	noProgram // a configuration without a program
)

// supervision is about a program with that value. supervisord expects exit statuses, 0 by default;
// an end by a signal is unexpected.
func (a autorestart) supervision(pid int) closewait.Supervision {
	switch a {
	case always:
		return closewait.Supervision{By: closewait.BySupervisord, Text: fmt.Sprintf("supervisord (process %d, autorestart=true)", pid)}
	case unexpected:
		return closewait.Supervision{
			By: closewait.BySupervisord, Text: fmt.Sprintf("supervisord (process %d, autorestart=unexpected)", pid),
			IfHandled: "if it exits with an expected status, supervisord does not start it again (autorestart=unexpected)",
		}
	}
	return closewait.Unsupervised("supervisord has no program, or one with autorestart=false, and it does not show which program this is")
}

// readSupervisord reads the least autorestart of all programs of the first file that exists and the
// files that it includes.
func readSupervisord(files []string) (autorestart, error) {
	for _, name := range files {
		if !filepath.IsAbs(name) {
			return never, fmt.Errorf("the path of its configuration is relative: %s", name)
		}
		text, err := readRegular(name)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return never, err
		}
		least, includes := parseSupervisord(text)
		for _, pattern := range includes {
			if strings.Contains(pattern, "%(") {
				return never, fmt.Errorf("the path of an included file has a variable: %s", pattern)
			}
			if !filepath.IsAbs(pattern) {
				pattern = filepath.Join(filepath.Dir(name), pattern)
			}
			more, err := filepath.Glob(pattern)
			if err != nil {
				return never, fmt.Errorf("find included files %s: %w", pattern, err)
			}
			if len(more) > maxConfigFiles {
				return never, fmt.Errorf("it includes %d files by %s, more than %d", len(more), pattern, maxConfigFiles)
			}
			for _, included := range more {
				text, err := readRegular(included)
				if err != nil {
					return never, err
				}
				of, _ := parseSupervisord(text)
				least = min(least, of)
			}
		}
		if least == noProgram {
			return never, nil
		}
		return least, nil
	}
	return never, fmt.Errorf("none of %s exists", strings.Join(files, ", "))
}

// parseSupervisord returns the least autorestart of the programs in a configuration, and the files
// that it includes.
func parseSupervisord(text string) (least autorestart, includes []string) {
	least = noProgram
	section, inProgram, value := "", false, unexpected
	end := func() {
		if inProgram {
			least = min(least, value)
		}
	}
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(strings.TrimSpace(line), " ;")
		if strings.HasPrefix(line, "[") {
			end()
			section = strings.Trim(line, "[] ")
			value = unexpected
			kind, _, _ := strings.Cut(section, ":")
			inProgram = slices.Contains([]string{"program", "fcgi-program", "eventlistener"}, kind)
			continue
		}
		key, setting, found := strings.Cut(line, "=")
		switch key = strings.TrimSpace(key); {
		case strings.HasPrefix(line, ";") || strings.HasPrefix(line, "#"):
		case !found && section == "include": // a further line of files
			includes = append(includes, strings.Fields(line)...)
		case !found:
		case inProgram && key == "autorestart":
			value = parseAutorestart(strings.TrimSpace(setting))
		case section == "include" && key == "files":
			includes = append(includes, strings.Fields(setting)...)
		}
	}
	end()
	return least, includes
}

func parseAutorestart(text string) autorestart {
	switch strings.ToLower(text) {
	case "true", "yes", "on", "1":
		return always
	case "unexpected":
		return unexpected
	}
	return never
}

// readRegular reads a file, unless it is a pipe or a device, which could block.
func readRegular(name string) (string, error) {
	file, err := os.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return "", err
	}
	defer file.Close()
	info, err := file.Stat()
	if err == nil && (!info.Mode().IsRegular() || info.Size() > maxConfigBytes) {
		err = fmt.Errorf("%s is no regular file of at most %d bytes", name, maxConfigBytes)
	}
	if err != nil {
		return "", err
	}
	data, err := io.ReadAll(io.LimitReader(file, maxConfigBytes))
	return string(data), err
}
