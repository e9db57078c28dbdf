package kernel

import (
	"context"
	"errors"
	"testing"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/internal/kerneltest"
)

func TestAWalkThatIsCalledOffForgetsNothing(t *testing.T) {
	dir := t.TempDir()
	kerneltest.Plant(t, dir, both(map[string]string{"stat": fakeBoot}, alive(100, 5, 11, 12)))
	s, err := NewScanner(Options{ProcFS: dir, Scanner: ScannerProcFS})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	resolve := func(ctx context.Context, sockets ...closewait.SocketSample) error {
		s.sockets = sockets
		return s.resolveOwners(ctx, time.Now())
	}
	if err := resolve(t.Context(), accepted(11, 1)); err != nil {
		t.Fatal(err)
	}
	looked := s.owners.looked
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := resolve(ctx, accepted(11, 1), accepted(12, 2)); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if !s.owners.looked.Equal(looked) {
		t.Error("half a look passes for a whole one")
	}
	if err := resolve(ctx, accepted(11, 1)); err != nil || owning(s.sockets) != "11: process 100" {
		t.Errorf("%s, %v, though nothing is new", owning(s.sockets), err)
	}
}
