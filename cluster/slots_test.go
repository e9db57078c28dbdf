package cluster

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

var errLost = errors.New("read tcp: connection reset by peer")

// fakeServer keeps Leases as the API server does: a write needs the current resource version.
type fakeServer struct {
	leases  map[string]*coordinationv1.Lease
	version int
	late    []func() // writes whose answers were lost, and that arrive later
}

func (f *fakeServer) fails(reason func(schema.GroupResource, string) *apierrors.StatusError, name string) error {
	return reason(schema.GroupResource{Resource: leaseResource}, name)
}

func (f *fakeServer) get(_ context.Context, name string) (*coordinationv1.Lease, error) {
	if lease := f.leases[name]; lease != nil {
		return lease.DeepCopy(), nil
	}
	return nil, f.fails(apierrors.NewNotFound, name)
}

func (f *fakeServer) create(_ context.Context, lease *coordinationv1.Lease) (*coordinationv1.Lease, error) {
	if f.leases[lease.Name] != nil {
		return nil, f.fails(apierrors.NewAlreadyExists, lease.Name)
	}
	return f.store(lease), nil
}

func (f *fakeServer) update(_ context.Context, lease *coordinationv1.Lease) (*coordinationv1.Lease, error) {
	if now := f.leases[lease.Name]; now == nil || now.ResourceVersion != lease.ResourceVersion {
		return nil, apierrors.NewConflict(schema.GroupResource{Resource: leaseResource}, lease.Name, errors.New("changed"))
	}
	return f.store(lease), nil
}

func (f *fakeServer) store(lease *coordinationv1.Lease) *coordinationv1.Lease {
	f.version++
	lease = lease.DeepCopy()
	lease.ResourceVersion = strconv.Itoa(f.version)
	f.leases[lease.Name] = lease
	return lease.DeepCopy()
}

// network lies between a host and the server. It loses requests and answers, and delays writes.
type network struct {
	*fakeServer
	random *rand.Rand
	loses  float64 // share of the requests, 0 to 1
	cut    bool    // nothing arrives
}

func (n *network) get(ctx context.Context, name string) (*coordinationv1.Lease, error) {
	if n.cut || n.random.Float64() < n.loses {
		return nil, errLost
	}
	return n.fakeServer.get(ctx, name)
}

func (n *network) create(ctx context.Context, l *coordinationv1.Lease) (*coordinationv1.Lease, error) {
	return n.write(ctx, l, n.fakeServer.create)
}

func (n *network) update(ctx context.Context, l *coordinationv1.Lease) (*coordinationv1.Lease, error) {
	return n.write(ctx, l, n.fakeServer.update)
}

func (n *network) write(ctx context.Context, l *coordinationv1.Lease, send func(context.Context, *coordinationv1.Lease) (*coordinationv1.Lease, error)) (*coordinationv1.Lease, error) {
	if n.cut {
		return nil, errLost
	}
	if n.random.Float64() >= n.loses {
		return send(ctx, l)
	}
	l = l.DeepCopy()
	switch n.random.IntN(3) {
	case 0: // the request is lost
	case 1: // the answer is lost
		_, _ = send(ctx, l)
	case 2: // the request arrives later
		n.late = append(n.late, func() { _, _ = send(ctx, l) })
	}
	return nil, errLost
}

// simulatedHost wants to act again and again.
type simulatedHost struct {
	network *network
	slots   *Slots
	slot    *Slot // held
	until   int   // second in which its step ends
}

// TestSlotsAreNeverExceeded plays an hour of 10,000 hosts whose clocks differ by up to 30 s, most
// of which want to act all the time. Requests and answers are lost, holders die, and the network is
// cut for minutes at a time.
func TestSlotsAreNeverExceeded(t *testing.T) {
	const hosts, count, hold, seconds = 10_000, 3, 2 * time.Minute, 3600
	random := rand.New(rand.NewPCG(1, 2))
	server := &fakeServer{leases: map[string]*coordinationv1.Lease{}}
	second := 0
	start := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	all := make([]*simulatedHost, hosts)
	for i := range all {
		skew := time.Duration(random.IntN(61)-30) * time.Second
		n := &network{fakeServer: server, random: random, loses: 0.1}
		all[i] = &simulatedHost{network: n, slots: newSlots(n, fmt.Sprint("host-", i), func() time.Time {
			return start.Add(skew + time.Duration(second)*time.Second)
		})}
	}
	var acting []*simulatedHost
	acted, died, most := 0, 0, 0
	ctx := context.Background()
	for ; second < seconds; second++ {
		if len(server.late) > 0 && random.IntN(5) == 0 {
			i := random.IntN(len(server.late))
			server.late[i]()
			server.late = append(server.late[:i], server.late[i+1:]...)
		}
		acting = slices.DeleteFunc(acting, func(h *simulatedHost) bool {
			switch {
			case h.slot.Left() <= 0: // it may rely on the slot no more
				return true
			case second < h.until:
				return false
			case random.IntN(4) == 0: // the host dies
				died++
				return true
			case random.IntN(2) == 0: // the next step
				h.until = second + random.IntN(180)
				return h.slot.Renew(ctx) != nil
			}
			_ = h.slot.Release(ctx)
			return true
		})
		for range 20 {
			h := all[random.IntN(hosts)]
			h.network.cut = second%600 < 200 && random.IntN(2) == 0
			if slices.Contains(acting, h) {
				continue
			}
			if slot, err := h.slots.Take(ctx, "closewait-leak", count, hold); err == nil {
				if h.slot = slot; *slot.lease.Spec.HolderIdentity != slot.holder {
					t.Fatal("the Lease names another holder")
				}
				acting, acted, h.until = append(acting, h), acted+1, second+random.IntN(180)
			}
		}
		relying := 0
		for _, h := range acting {
			if h.slot.Left() > 0 {
				relying++
			}
		}
		if most = max(most, relying); relying > count {
			t.Fatalf("second %d: %d hosts rely on %d slots", second, relying, count)
		}
	}
	t.Logf("%d actions, %d holders died, at most %d at the same time", acted, died, most)
	if acted < 50 || died < 10 || most < count {
		t.Errorf("%d actions, %d holders died, at most %d at the same time: too little happened", acted, died, most)
	}
}

// twoHosts are hosts with the same server, whose clocks are half a minute apart.
func twoHosts() (server *fakeServer, clock *time.Duration, a, b *Slots) {
	server, clock = &fakeServer{leases: map[string]*coordinationv1.Lease{}}, new(time.Duration)
	at := func(skew time.Duration) func() time.Time {
		return func() time.Time { return time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC).Add(*clock + skew) }
	}
	return server, clock, newSlots(server, "a", at(0)), newSlots(server, "b", at(30*time.Second))
}

const shortHold = 2 * time.Minute

func TestADeadHolderIsReplacedAfterItsHoldTime(t *testing.T) {
	_, clock, a, b := twoHosts()
	slot, err := a.Take(t.Context(), "x", 1, shortHold)
	if err != nil {
		t.Fatal(err)
	}
	for *clock = 10 * time.Second; *clock <= 10*time.Second+shortHold; *clock += 10 * time.Second {
		if _, err := b.Take(t.Context(), "x", 1, time.Second); !errors.Is(err, ErrNoSlot) {
			t.Fatalf("after %s: %v", *clock, err) // its own hold time does not matter
		}
	}
	if _, err := b.Take(t.Context(), "x", 1, shortHold); err != nil {
		t.Fatalf("after %s: %v", *clock, err)
	}
	if err := slot.Renew(t.Context()); err == nil || slot.Left() > 0 {
		t.Errorf("the first holder still relies on the slot for %s: %v", slot.Left(), err)
	}
}

func TestAHolderThatRenewsKeepsItsSlot(t *testing.T) {
	_, clock, a, b := twoHosts()
	slot, err := a.Take(t.Context(), "x", 1, shortHold)
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		*clock += time.Minute
		if err := slot.Renew(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Take(t.Context(), "x", 1, shortHold); !errors.Is(err, ErrNoSlot) {
			t.Fatal(err)
		}
	}
	if err := slot.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Take(t.Context(), "x", 1, shortHold); err != nil {
		t.Errorf("after it was given back: %v", err)
	}
}

func TestASlotThatAnotherHasTakenIsNotRenewed(t *testing.T) {
	server, _, a, _ := twoHosts()
	slot, err := a.Take(t.Context(), "x", 1, shortHold)
	if err != nil {
		t.Fatal(err)
	}
	other, thief := server.leases["x-0"].DeepCopy(), "somebody"
	other.Spec.HolderIdentity = &thief
	server.store(other)
	if err := slot.Renew(t.Context()); err == nil {
		t.Error("renewed")
	}
	if err := slot.Release(t.Context()); err == nil || *server.leases["x-0"].Spec.HolderIdentity != thief {
		t.Errorf("the slot of another was given back: %v", err)
	}
}

func TestTwoRemediationsOfAHostNeedTwoSlots(t *testing.T) {
	_, _, a, _ := twoHosts()
	for i := range 3 {
		if _, err := a.Take(t.Context(), "x", 2, shortHold); (err != nil) != (i == 2) {
			t.Errorf("slot %d: %v", i, err)
		}
	}
}

func TestALostAnswerIsAskedFor(t *testing.T) {
	server, _, _, _ := twoHosts()
	for name, c := range map[string]struct {
		arrives bool
	}{"of a request that arrived": {true}, "of a request that did not": {false}} {
		t.Run(name, func(t *testing.T) {
			delete(server.leases, "x-0")
			slots := newSlots(losesWrites{server, c.arrives}, "a", time.Now)
			if _, err := slots.Take(t.Context(), "x", 1, shortHold); (err == nil) != c.arrives {
				t.Error(err)
			}
		})
	}
}

// losesWrites loses the answers of writes, or also the requests.
type losesWrites struct {
	*fakeServer
	arrive bool
}

func (l losesWrites) create(ctx context.Context, lease *coordinationv1.Lease) (*coordinationv1.Lease, error) {
	if l.arrive {
		_, _ = l.fakeServer.create(ctx, lease)
	}
	return nil, errLost
}
