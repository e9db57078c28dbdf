package scan_test

import (
	"bufio"
	"errors"
	"io"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"closewait_exporter/internal/hosttest"
	"closewait_exporter/internal/leaktest"
	"closewait_exporter/kernel/scan"
)

func TestProcessesThatEndDuringAScanAreNoError(t *testing.T) {
	hosttest.Require(t)
	const (
		sockets = 5
		enough  = 10 // processes that come and go
	)
	program := leaktest.Build(t)
	stable := leaktest.Start(t, "--sockets=3")
	shared := connect(t, listen(t, "127.0.0.1:0"))
	shared.CloseClient()
	file, err := shared.Server.File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	withEachScanner(t, func(t *testing.T, kind scannerKind) {
		scanner := openTracked(t, kind, scan.Options{Refresh: always, Workers: 2})
		stopLeaks := inLoop(t, 1, func() error { return leakAndDie(program, sockets) })
		stopHolders := inLoop(t, 2, func() error { // holds a socket of ours for a moment
			cmd := exec.Command("true")
			cmd.ExtraFiles = []*os.File{file}
			return cmd.Run()
		})
		mostEntered := uint64(sockets)
		if !kind.cookies {
			mostEntered *= 2 // it takes an accepted socket for another one
		}
		mostEntered++ // a child of ours has our socket for a moment, before its exec
		seen := map[int]bool{}
		for start := time.Now(); time.Since(start) < 2*time.Second || len(seen) < enough && time.Since(start) < timeout; {
			v := scanner.view()
			if n := v.held(stable.PID); n != 3 {
				t.Fatalf("the process that stays holds %d, want 3", n)
			}
			if n := v.held(os.Getpid()); n != 1 {
				t.Fatalf("we hold %d, want 1", n)
			}
			for _, h := range v.Holders {
				seen[h.ID.PID] = true
				if h.Ended.Len() > sockets || h.Entered > mostEntered {
					t.Fatalf("process %d holds %d, %d entered, of %d", h.ID.PID, h.Ended.Len(), h.Entered, sockets)
				}
			}
		}
		stopLeaks()
		stopHolders()
		if len(seen) < enough {
			t.Errorf("only %d processes were seen", len(seen))
		}
		if scanErrors := scanErrorsOf(scanner.host); len(scanErrors) != 0 {
			t.Errorf("scan errors %v", scanErrors)
		}
		v := scanner.await(func(v view) (bool, string) { return v.Sockets.Total() == 4, v.String() })
		if len(v.Holders) != 2 || v.holder(stable.PID).Left != 0 {
			t.Errorf("after all the others have ended: %v", v)
		}
	})
}

// leakAndDie runs a leaking program and kills it as soon as it has leaked.
func leakAndDie(program string, sockets int) error {
	cmd := exec.Command(program, "server", "--exit-with-stdin", "--sockets="+strconv.Itoa(sockets))
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	_, started := bufio.NewReader(out).ReadString('\n')
	killed := cmd.Process.Kill()
	_, rest := io.Copy(io.Discard, out)
	_ = cmd.Wait() // the error is that it was killed
	return errors.Join(started, killed, rest)
}
