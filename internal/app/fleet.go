package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"

	"closewait_exporter/brake"
	"closewait_exporter/closewait"
	"closewait_exporter/cluster"
	"closewait_exporter/reaper"
	"closewait_exporter/reaper/rules"
)

// fleet implements reaper.Fleet. It opens no connection before it is asked.
type fleet struct {
	connection cluster.Connection
	node       string // empty: unknown
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
	return &fleet{connection: o.cluster.connection(), node: o.cluster.node, host: host, slots: map[string]*cluster.Slots{}}
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
	client, err := f.open()
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.slots[namespace] == nil {
		f.slots[namespace] = client.NewSlots(namespace, f.host)
	}
	return f.slots[namespace], nil
}

// open returns the client of the API server, which is made when it is first needed.
func (f *fleet) open() (*cluster.Client, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.client == nil {
		client, err := f.connection.Open()
		if err != nil {
			return nil, err
		}
		f.client = client
	}
	return f.client, nil
}

// Evict implements step.Executor.
func (f *fleet) Evict(ctx context.Context, e closewait.Eviction) (closewait.EvictionResult, error) {
	client, err := f.open()
	if err != nil {
		return closewait.EvictionResult{}, fmt.Errorf("%w: %w", closewait.ErrCluster, err)
	}
	return client.Evict(ctx, f.node, e)
}

// mayEvict returns why no pod can be evicted. It opens no connection.
func (f *fleet) mayEvict() error {
	if f.node == "" {
		return errors.New("the name of the node is unknown: give --cluster.node, or the environment variable NODE_NAME")
	}
	return f.connection.Check()
}
