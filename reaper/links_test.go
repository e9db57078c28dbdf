package reaper

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"closewait_exporter/reaper/policy"
)

// TestALinkInPlaceOfAStateOrAuditFileIsRefused makes links to a file that must not change.
func TestALinkInPlaceOfAStateOrAuditFileIsRefused(t *testing.T) {
	for name, exists := range map[string]bool{"to a file": true, "to nothing": false} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			precious, link := filepath.Join(dir, "precious"), filepath.Join(dir, "link")
			if exists {
				writeText(t, precious, "content")
			}
			if err := os.Symlink(precious, link); err != nil {
				t.Fatal(err)
			}
			state := NewStateFile(link, bootIs(thisBoot))
			_, loading := state.load(policy.State{}, epoch)
			for what, err := range map[string]error{
				"reading the state": loading,
				"writing the state": state.save(someState(t), epoch),
				"auditing":          NewAuditFile(link).Write(Record{Event: "decision"}),
			} {
				if err == nil || !strings.Contains(err.Error(), "symbolic link") {
					t.Errorf("%s: %v", what, err)
				}
			}
			data, err := os.ReadFile(precious)
			if exists != (err == nil) || string(data) != map[bool]string{true: "content"}[exists] {
				t.Errorf("the file has become %q, %v", data, err)
			}
		})
	}
}

// TestALinkInPlaceOfTheNewStateIsNotFollowed is about the name that the state file has while it is
// written.
func TestALinkInPlaceOfTheNewStateIsNotFollowed(t *testing.T) {
	dir := t.TempDir()
	precious := filepath.Join(dir, "precious")
	writeText(t, precious, "content")
	state := filepath.Join(dir, "state")
	if err := os.Symlink(precious, state+".new"); err != nil {
		t.Fatal(err)
	}
	if err := NewStateFile(state, bootIs(thisBoot)).save(someState(t), epoch); err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(precious); err != nil || string(data) != "content" {
		t.Errorf("the file has become %q, %v", data, err)
	}
	if info, err := os.Lstat(state); err != nil || !info.Mode().IsRegular() {
		t.Errorf("the state file is %v, %v", info, err)
	}
}

// TestLinksToDirectoriesWork is about the StateDirectory of a service with DynamicUser.
func TestLinksToDirectoriesWork(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "private", "closewait"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("private/closewait", filepath.Join(dir, "closewait")); err != nil {
		t.Fatal(err)
	}
	state := NewStateFile(filepath.Join(dir, "closewait", "state.json"), bootIs(thisBoot))
	if err := state.save(someState(t), epoch); err != nil {
		t.Error(err)
	}
	if s, err := state.load(policy.State{}, epoch); err != nil || actions(&s) != 2 {
		t.Errorf("%d actions, %v", actions(&s), err)
	}
	if err := NewAuditFile(filepath.Join(dir, "closewait", "audit.jsonl")).Write(Record{}); err != nil {
		t.Error(err)
	}
}

// TestANamedPipeInPlaceOfTheStateFileDoesNotBlock has no writer.
func TestANamedPipeInPlaceOfTheStateFileDoesNotBlock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	result := make(chan error, 1)
	go func() {
		_, err := NewStateFile(path, bootIs(thisBoot)).load(policy.State{}, epoch)
		result <- err
	}()
	select {
	case err := <-result:
		if err == nil || !strings.Contains(err.Error(), "not a regular file") {
			t.Error(err)
		}
	case <-time.After(time.Minute):
		t.Fatal("it waits for a writer")
	}
}

func writeText(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
