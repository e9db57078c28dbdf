package cluster

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ErrNoSlot means that other hosts have all slots.
var ErrNoSlot = errors.New("all slots are taken")

// Slots gives out slots that all hosts share, each of which is a Lease. The clocks of hosts are
// never compared. A holder relies on its slot for less than the hold time, counted by its own clock
// from before it sent the last renewal. Others take the Lease over only after they have seen it
// unchanged, by their own clocks, for the whole hold time that the holder has written into it. So
// the clocks need the same speed, and not the same time. Use Slots from any number of goroutines.
type Slots struct {
	leases   leases
	identity string           // of this program
	now      func() time.Time // the clock of this host

	mu    sync.Mutex
	taken int                    // attempts, each of which has another identity
	seen  map[string]observation // by name of the Lease
}

// leases are the Leases of a namespace. An error can come after the change was made.
type leases interface {
	get(ctx context.Context, name string) (*coordinationv1.Lease, error)
	create(ctx context.Context, lease *coordinationv1.Lease) (*coordinationv1.Lease, error)
	update(ctx context.Context, lease *coordinationv1.Lease) (*coordinationv1.Lease, error)
}

// observation is when a Lease was first seen as it is.
type observation struct {
	holder  string
	renewed time.Time // by the clock of the holder: only compared for equality
	since   time.Time // by the clock of this host
}

// NewSlots returns the Slots in a namespace. host is shown as the holder.
func (c *Client) NewSlots(namespace, host string) *Slots {
	return newSlots(restLeases{c.coordination, namespace}, host+"/"+rand.Text(), time.Now)
}

func newSlots(l leases, identity string, now func() time.Time) *Slots {
	return &Slots{leases: l, identity: identity, now: now, seen: map[string]observation{}}
}

// Slot is held by this host. It is used by one goroutine.
type Slot struct {
	slots  *Slots
	lease  *coordinationv1.Lease
	holder string
	hold   time.Duration
	since  time.Time // from before the last renewal was sent
}

// Take takes one of a number of slots with names that begin with prefix. It fails with ErrNoSlot if
// other holders have them.
func (s *Slots) Take(ctx context.Context, prefix string, count int, hold time.Duration) (*Slot, error) {
	slot := &Slot{slots: s, holder: s.nextHolder(), hold: hold}
	for i := range count {
		name := fmt.Sprintf("%s-%d", prefix, i)
		took, err := slot.take(ctx, name)
		if err != nil {
			return nil, fmt.Errorf("lease %s: %w", name, err)
		}
		if took {
			return slot, nil
		}
	}
	return nil, fmt.Errorf("%w: %d of %s", ErrNoSlot, count, prefix)
}

func (s *Slots) nextHolder() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taken++
	return fmt.Sprintf("%s-%d", s.identity, s.taken)
}

// take takes one Lease if it is free. Another holder that is faster is no error.
func (s *Slot) take(ctx context.Context, name string) (bool, error) {
	lease, err := s.slots.leases.get(ctx, name)
	switch {
	case apierrors.IsNotFound(err):
		lease = &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: name}}
		err = s.write(ctx, lease, s.slots.leases.create)
	case err != nil:
		return false, err
	case !s.slots.free(lease, s.hold):
		return false, nil
	default:
		err = s.write(ctx, lease, s.slots.leases.update)
	}
	if apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) {
		return false, nil
	}
	return err == nil, err
}

// free reports whether no other holder has a Lease: it was given back, or has been seen unchanged
// for the time that its holder has written into it.
func (s *Slots) free(lease *coordinationv1.Lease, hold time.Duration) bool {
	spec := &lease.Spec
	if spec.HolderIdentity == nil || *spec.HolderIdentity == "" {
		return true
	}
	now := observation{holder: *spec.HolderIdentity, since: s.now()}
	if spec.RenewTime != nil {
		now.renewed = spec.RenewTime.Time
	}
	if spec.LeaseDurationSeconds != nil && *spec.LeaseDurationSeconds > 0 {
		hold = time.Duration(*spec.LeaseDurationSeconds) * time.Second
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	before, known := s.seen[lease.Name]
	if !known || before.holder != now.holder || !before.renewed.Equal(now.renewed) {
		s.seen[lease.Name] = now
		return false
	}
	return now.since.Sub(before.since) > hold
}

// Renew makes sure that the slot is still held, and holds it for the whole hold time again. After
// an error nothing may rely on the slot.
func (s *Slot) Renew(ctx context.Context) error {
	if left := s.Left(); left <= 0 {
		return fmt.Errorf("lease %s: held for %s without a renewal, %s allowed", s.lease.Name, s.slots.now().Sub(s.since).Round(time.Second), s.hold)
	}
	if err := s.write(ctx, s.lease.DeepCopy(), s.slots.leases.update); err != nil {
		return fmt.Errorf("lease %s: renew: %w", s.lease.Name, err)
	}
	return nil
}

// Left is for how long the slot can be relied on from now.
func (s *Slot) Left() time.Duration { return s.hold - s.slots.now().Sub(s.since) }

// Release gives the slot back. If that fails, others take it over after the hold time.
func (s *Slot) Release(ctx context.Context) error {
	lease := s.lease.DeepCopy()
	lease.Spec.HolderIdentity = nil
	if _, err := s.slots.leases.update(ctx, lease); err != nil {
		return fmt.Errorf("lease %s: give back: %w", lease.Name, err)
	}
	return nil
}

// write makes the slot the holder of a Lease. The resource version in the Lease makes the API
// server refuse the write if anybody has changed it meanwhile. When the answer is lost, the Lease
// shows whether the write was done.
func (s *Slot) write(ctx context.Context, lease *coordinationv1.Lease, send func(context.Context, *coordinationv1.Lease) (*coordinationv1.Lease, error)) error {
	sent := s.slots.now()
	seconds, renewed := int32(s.hold/time.Second), metav1.NewMicroTime(sent)
	spec := &lease.Spec
	if spec.HolderIdentity == nil || *spec.HolderIdentity != s.holder {
		spec.AcquireTime = &renewed
	}
	spec.HolderIdentity, spec.LeaseDurationSeconds, spec.RenewTime = &s.holder, &seconds, &renewed
	written, err := send(ctx, lease)
	if err != nil && !refused(err) {
		if now, lost := s.slots.leases.get(ctx, lease.Name); lost == nil && s.wrote(now, renewed) {
			written, err = now, nil
		}
	}
	if err != nil {
		return err
	}
	s.lease, s.since = written, sent
	return nil
}

// wrote reports whether a Lease is as the slot has written it.
func (s *Slot) wrote(lease *coordinationv1.Lease, renewed metav1.MicroTime) bool {
	spec := &lease.Spec
	return spec.HolderIdentity != nil && *spec.HolderIdentity == s.holder &&
		spec.RenewTime != nil && spec.RenewTime.Time.Truncate(time.Microsecond).Equal(renewed.Time.Truncate(time.Microsecond))
}

// refused reports whether the API server has answered that it did not make a change. Any other
// error can come after the change.
func refused(err error) bool {
	return apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) || apierrors.IsNotFound(err) || apierrors.IsForbidden(err) ||
		apierrors.IsUnauthorized(err) || apierrors.IsInvalid(err) || apierrors.IsBadRequest(err)
}
