package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"

	"closewait_exporter/brake"
	"closewait_exporter/cluster"
	"closewait_exporter/reaper"
	"closewait_exporter/reaper/rules"
)

// fleet implements reaper.Fleet. It opens no connection before it is asked.
type fleet struct {
	connection cluster.Connection
	host       string // shown as the holder of a slot

	mu    sync.Mutex
	brake struct {
		of     *rules.Brake // that client is for
		client *brake.Client
	}
	client *cluster.Client           // nil: not used yet
	slots  map[string]*cluster.Slots // by namespace: they remember for how long others have held theirs
}

func newFleet(o *options) *fleet {
	host := o.cluster.node
	if host == "" {
		host, _ = os.Hostname() // only shown
	}
	return &fleet{connection: o.cluster.connection(), host: host, slots: map[string]*cluster.Slots{}}
}

// BrakeValue implements reaper.Fleet.
func (f *fleet) BrakeValue(ctx context.Context, b *rules.Brake, rule, group string) (float64, error) {
	client, err := f.brakeClient(b)
	if err != nil {
		return 0, fmt.Errorf("fleet.brake: %w", err)
	}
	return client.Value(ctx, b.Query.For(rule, group), b.Timeout)
}

// brakeClient returns the client of a Brake. A reload makes another Brake, whose client replaces
// it.
func (f *fleet) brakeClient(b *rules.Brake) (*brake.Client, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.brake.of == b {
		return f.brake.client, nil
	}
	client, err := brake.New(b.URL, b.HTTP)
	if err != nil {
		return nil, err
	}
	if f.brake.client != nil {
		f.brake.client.Close()
	}
	f.brake.of, f.brake.client = b, client
	return client, nil
}

// TakeSlot implements reaper.Fleet.
func (f *fleet) TakeSlot(ctx context.Context, s *rules.Slots, rule string) (reaper.Slot, error) {
	slots, err := f.slotsIn(s.Namespace)
	if err != nil {
		return nil, fmt.Errorf("fleet.slots: %w", err)
	}
	slot, err := slots.Take(ctx, rules.LeasePrefix(rule), s.Count, s.Hold)
	switch {
	case errors.Is(err, cluster.ErrNoSlot):
		return nil, fmt.Errorf("%w (%d of %s in namespace %s)", reaper.ErrNoSlot, s.Count, rules.LeasePrefix(rule), s.Namespace)
	case err != nil:
		return nil, fmt.Errorf("namespace %s: %w", s.Namespace, err)
	}
	return slot, nil
}

func (f *fleet) slotsIn(namespace string) (*cluster.Slots, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if slots := f.slots[namespace]; slots != nil {
		return slots, nil
	}
	if f.client == nil {
		client, err := f.connection.Open()
		if err != nil {
			return nil, err
		}
		f.client = client
	}
	f.slots[namespace] = f.client.NewSlots(namespace, f.host)
	return f.slots[namespace], nil
}
