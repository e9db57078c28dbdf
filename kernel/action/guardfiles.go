package action

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"closewait_exporter/kernel/trust"
)

// interpreters are the names of programs that run a file in their arguments. A name can continue
// with a version, such as python3.11.
var interpreters = []string{
	"ash", "bash", "busybox", "chroot", "dash", "env", "flock", "ionice", "ksh", "lua", "nice", "node", "nohup", "nsenter", "perl",
	"php", "python", "ruby", "runuser", "setpriv", "setsid", "sh", "stdbuf", "sudo", "taskset", "timeout", "unshare", "xargs", "zsh",
}

// checkGuardFiles returns an error if a user other than root and the user of the exporter can
// change what a guard runs: its program, the interpreter of a script, and the files in the
// arguments of an interpreter.
func checkGuardFiles(program string, arguments []string) error {
	if err := trust.Check(program); err != nil {
		return err
	}
	interpreter, options := scriptInterpreter(program)
	if interpreter != "" {
		if err := trust.Check(interpreter); err != nil {
			return fmt.Errorf("its interpreter: %w", err)
		}
	}
	files := slices.Clone(options)
	if isInterpreter(program) {
		files = append(files, arguments...)
	}
	for _, file := range files {
		if info, err := os.Stat(file); err != nil || !filepath.IsAbs(file) || !info.Mode().IsRegular() {
			continue
		}
		if err := trust.Check(file); err != nil {
			return err
		}
	}
	return nil
}

// isInterpreter reports whether a program, or the program that a link with its name leads to, runs
// a file in its arguments.
func isInterpreter(program string) bool {
	target, err := filepath.EvalSymlinks(program)
	if err != nil {
		target = program
	}
	for _, path := range []string{program, target} {
		if slices.Contains(interpreters, strings.TrimRight(filepath.Base(path), "0123456789.-")) {
			return true
		}
	}
	return false
}

// scriptInterpreter returns what the first line of a script names (execve(2)); nothing if the
// program is no script or cannot be read.
func scriptInterpreter(program string) (path string, options []string) {
	const maxLine = 256 // BINPRM_BUF_SIZE
	file, err := os.Open(program)
	if err != nil {
		return "", nil
	}
	defer file.Close()
	line, _ := bufio.NewReader(io.LimitReader(file, maxLine)).ReadString('\n')
	text, isScript := strings.CutPrefix(line, "#!")
	words := strings.Fields(text)
	if !isScript || len(words) == 0 {
		return "", nil
	}
	return words[0], words[1:]
}
