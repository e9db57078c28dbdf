package action

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"closewait_exporter/closewait"
	"closewait_exporter/kernel/host"
)

const (
	guardPipeTimeout = time.Second     // for the end of the output after the end of the guard
	guardKillTimeout = 2 * time.Second // for the end of a guard that was killed
)

// CanRun returns an error if a guard with this command could not be started, or if a user other
// than root and the user of the exporter can change what it runs.
func CanRun(command []string) error {
	if len(command) == 0 {
		return errors.New("guard without a command")
	}
	path, err := exec.LookPath(command[0])
	if err == nil {
		err = checkGuardFiles(path, command[1:])
	}
	if err != nil {
		return fmt.Errorf("guard %q: %w", command[0], err)
	}
	return nil
}

// RunGuard runs a guard and returns the first 4 KiB of its stdout and stderr. The
// error is nil if the guard exits with status 0. Otherwise it is closewait.ErrGuardDenied,
// closewait.ErrGuardFailed or the cause of ctx.
//
// The environment of the guard has PATH and CLOSEWAIT_* only. The guard runs in / and in a process
// group of its own. When the guard has ended, the rest of its group is killed; when the exporter
// ends, the guard is killed. A process that has left the group (setsid) survives, and RunGuard does
// not wait for it.
func (e *Executor) RunGuard(ctx context.Context, g closewait.Guard) (output string, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, g.Timeout, fmt.Errorf("%w: no answer in %v", closewait.ErrGuardFailed, g.Timeout))
	defer cancel()
	ctx, overflow := context.WithCancelCause(ctx)
	defer overflow(nil)
	kept := &guardOutput{overflow: overflow}
	if err := CanRun(g.Command); err != nil {
		return "", fmt.Errorf("%w: %w", closewait.ErrGuardFailed, err)
	}
	if err := runGuard(ctx, &g, kept); err != nil {
		return kept.String(), fmt.Errorf("guard %q: %w", g.Command[0], err) // arguments can be secret
	}
	return kept.String(), nil
}

// runGuard starts the guard and waits for its end. The kernel sends the parent-death signal when
// the thread ends that has started the guard, so this goroutine keeps its thread meanwhile.
func runGuard(ctx context.Context, g *closewait.Guard, output *guardOutput) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd := exec.Command(g.Command[0], guardArguments(g)...)
	cmd.Env, cmd.Dir = guardEnvironment(g), "/"
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(g.Evidence), output, output
	cmd.WaitDelay = guardPipeTimeout
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("%w: %w", closewait.ErrGuardFailed, err)
	}
	if err := awaitGuard(ctx, cmd.Process.Pid); err != nil {
		go func() { _ = cmd.Wait() }() // collects the zombie, should it ever end
		return fmt.Errorf("%w: %w", closewait.ErrGuardFailed, err)
	}
	err := cmd.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return guardError(err)
}

// awaitGuard waits until the guard or ctx ends, and kills the process group of the guard. The guard
// has not been reaped yet, so no other group can have its id.
func awaitGuard(ctx context.Context, pid int) error {
	pidfd, failure := openPidfd(pid) // not the pidfd of os.Process, which must stay blocking
	if failure == nil {
		defer pidfd.Close()
		_ = awaitExit(ctx, pidfd) // the group is killed in any case
	}
	if err := unix.Kill(-pid, unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("kill its process group: %w", err)
	}
	if failure != nil {
		return failure
	}
	ctx, cancel := context.WithTimeoutCause(context.Background(), guardKillTimeout, host.ErrHangs)
	defer cancel()
	return awaitExit(ctx, pidfd)
}

// guardError translates the result of exec.Cmd.Wait. If another process holds the output open, the
// guard has still exited with status 0.
func guardError(err error) error {
	var exit *exec.ExitError
	switch {
	case err == nil || errors.Is(err, exec.ErrWaitDelay):
		return nil
	case errors.As(err, &exit) && exit.Exited():
		return fmt.Errorf("%w: %w", closewait.ErrGuardDenied, err)
	}
	return fmt.Errorf("%w: %w", closewait.ErrGuardFailed, err)
}

// guardArguments replaces placeholders in the arguments. It does not replace them in the name of
// the program, because processes choose their own values.
func guardArguments(g *closewait.Guard) []string {
	known := strings.NewReplacer("{pid}", strconv.Itoa(g.PID), "{rule}", g.Rule, "{group}", g.Group)
	arguments := make([]string, 0, len(g.Command)-1)
	for _, argument := range g.Command[1:] {
		arguments = append(arguments, known.Replace(argument))
	}
	return arguments
}

func guardEnvironment(g *closewait.Guard) []string {
	path := os.Getenv("PATH")
	if path == "" {
		path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	}
	env := []string{"PATH=" + path, "CLOSEWAIT_PID=" + strconv.Itoa(g.PID), "CLOSEWAIT_RULE=" + g.Rule, "CLOSEWAIT_GROUP=" + g.Group}
	for name, value := range g.Env {
		env = append(env, "CLOSEWAIT_"+name+"="+value)
	}
	return env
}
