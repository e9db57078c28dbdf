package scan

import (
	"context"
	"errors"
	"testing"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/internal/kerneltest"
)

func TestACancelledWalkForgetsNothing(t *testing.T) {
	dir := t.TempDir()
	kerneltest.Plant(t, dir, both(alive(100, 5, 11, 12)))
	s := openFake(t, dir, Options{})
	var sockets []closewait.SocketSample
	find := func(ctx context.Context, list ...closewait.SocketSample) error {
		sockets = list
		return resolve(ctx, s, time.Now(), list)
	}
	if err := find(t.Context(), accepted(11, 1)); err != nil {
		t.Fatal(err)
	}
	walkedAt := s.owners.walkedAt
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := find(ctx, accepted(11, 1), accepted(12, 2)); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if !s.owners.walkedAt.Equal(walkedAt) {
		t.Error("a cancelled walk counts as a complete one")
	}
	if err := find(ctx, accepted(11, 1)); err != nil || describeOwners(sockets) != "11: process 100" {
		t.Errorf("%s, %v, though nothing is new", describeOwners(sockets), err)
	}
}
