package bpf

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cilium/ebpf/asm"
)

// TestObjectFilesBelongToTheirSources finds sources that were changed without make generate, on
// machines without a compiler for BPF too.
func TestObjectFilesBelongToTheirSources(t *testing.T) {
	sums, err := os.ReadFile("objects.sha256")
	if err != nil {
		t.Fatal(err)
	}
	summed := map[string]string{}
	for line := range strings.Lines(string(sums)) {
		if sum, name, found := strings.Cut(strings.TrimSpace(line), "  "); found {
			summed[name] = sum
		}
	}
	for _, pattern := range []string{"bpf/*", "*.o", "bare/*.o"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("no %s: %v", pattern, err)
		}
		for _, file := range files {
			content, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if sum := fmt.Sprintf("%x", sha256.Sum256(content)); sum != summed[file] {
				t.Errorf("%s has changed since the programs were compiled: make generate", file)
			}
		}
	}
}

// TestReadsAreOrderedOnAllProcessors checks the atomic operations that order reads: on arm64 they
// only do if they return the old value, which a compiler may optimise away.
func TestReadsAreOrderedOnAllProcessors(t *testing.T) {
	spec, err := loadObject()
	if err != nil {
		t.Fatal(err)
	}
	fences := 0
	for _, instruction := range spec.Programs[objectProgWalk].Instructions {
		switch op := instruction.OpCode.AtomicOp(); op {
		case asm.InvalidAtomic: // another instruction
		case asm.Xchg:
			fences++
		default:
			t.Errorf("%v does not order reads", instruction)
		}
	}
	if fences != 2 {
		t.Errorf("%d fences, want one before a socket is read and one after", fences)
	}
}
