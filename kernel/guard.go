package kernel

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
	guardPipePatience = time.Second     // for output that somebody holds open after the guard's end
	guardKillPatience = 2 * time.Second // for the end of a guard that was killed
)

// CanRun tells why a guard with this command could not be started.
func (h *Hands) CanRun(command []string) error {
	if len(command) == 0 {
		return errors.New("guard without a command")
	}
	if _, err := exec.LookPath(command[0]); err != nil {
		return fmt.Errorf("guard %q: %w", command[0], err)
	}
	return nil
}

// Run asks a guard, and returns the first 4 KiB of what it wrote to stdout and stderr, for the log.
// The error is nil if the guard exits with status 0, else closewait.ErrGuardDenied,
// closewait.ErrGuardFailed or the cause of ctx.
//
// The guard gets PATH and CLOSEWAIT_* and nothing else of our environment, and runs in / and in a
// process group of its own. When it has ended, whatever is left in the group is killed; when the
// exporter dies, the guard is. What has left the group (setsid) lives on and is not waited for.
func (h *Hands) Run(ctx context.Context, g closewait.Guard) (output string, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, g.Timeout, fmt.Errorf("%w: no answer in %v", closewait.ErrGuardFailed, g.Timeout))
	defer cancel()
	ctx, overflow := context.WithCancelCause(ctx)
	defer overflow(nil)
	kept := &guardOutput{overflow: overflow}
	if err := runGuard(ctx, &g, kept); err != nil {
		return kept.String(), fmt.Errorf("guard %q: %w", g.Command, err)
	}
	return kept.String(), nil
}

// runGuard starts the guard and waits for its end. The parent-death signal comes when the thread ends that
// has started the guard, so this goroutine keeps its thread meanwhile.
func runGuard(ctx context.Context, g *closewait.Guard, output *guardOutput) error {
	if len(g.Command) == 0 {
		return fmt.Errorf("%w: no command given", closewait.ErrGuardFailed)
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd := exec.Command(g.Command[0], guardArguments(g)...)
	cmd.Env, cmd.Dir = guardEnvironment(g), "/"
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(g.Evidence), output, output
	cmd.WaitDelay = guardPipePatience
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("%w: %w", closewait.ErrGuardFailed, err)
	}
	if err := endGroup(ctx, cmd.Process.Pid); err != nil {
		go func() { _ = cmd.Wait() }() // should it end one day
		return fmt.Errorf("%w: %w", closewait.ErrGuardFailed, err)
	}
	err := cmd.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return verdict(err)
}

// endGroup waits for the guard until ctx ends, and kills its process group then. As the guard itself
// has not been collected yet, its id cannot be that of another group.
func endGroup(ctx context.Context, pid int) error {
	pidfd, failure := openPidfd(pid) // not the one of os.Process: that must not become non-blocking
	if failure == nil {
		defer pidfd.Close()
		_ = awaitExit(ctx, pidfd) // however that ends, the group has to go
	}
	if err := unix.Kill(-pid, unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("kill its process group: %w", err)
	}
	if failure != nil {
		return failure
	}
	ctx, cancel := context.WithTimeoutCause(context.Background(), guardKillPatience, host.ErrHangs)
	defer cancel()
	return awaitExit(ctx, pidfd)
}

// verdict reads the outcome. That somebody else holds the output open is no answer of the guard.
func verdict(err error) error {
	var exit *exec.ExitError
	switch {
	case err == nil || errors.Is(err, exec.ErrWaitDelay):
		return nil
	case errors.As(err, &exit) && exit.Exited():
		return fmt.Errorf("%w: %w", closewait.ErrGuardDenied, err)
	}
	return fmt.Errorf("%w: %w", closewait.ErrGuardFailed, err)
}

// guardArguments fills in what is known. The program itself stays as it is: a process must not choose it.
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
