package app

import (
	"context"
	"fmt"
	"sync"

	"closewait_exporter/brake"
	"closewait_exporter/reaper/rules"
)

// fleet implements reaper.Fleet. It opens no connection before it is asked.
type fleet struct {
	mu     sync.Mutex
	of     *rules.Brake // that client is for
	client *brake.Client
}

// BrakeValue implements reaper.Fleet.
func (f *fleet) BrakeValue(ctx context.Context, b *rules.Brake, rule, group string) (float64, error) {
	client, err := f.brake(b)
	if err != nil {
		return 0, fmt.Errorf("fleet.brake: %w", err)
	}
	return client.Value(ctx, b.Query.For(rule, group), b.Timeout)
}

// brake returns the client of a Brake. A reload makes another Brake, whose client replaces it.
func (f *fleet) brake(b *rules.Brake) (*brake.Client, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.of == b {
		return f.client, nil
	}
	client, err := brake.New(b.URL, b.HTTP)
	if err != nil {
		return nil, err
	}
	if f.client != nil {
		f.client.Close()
	}
	f.of, f.client = b, client
	return client, nil
}
