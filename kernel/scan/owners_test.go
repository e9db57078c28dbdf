package scan

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/internal/kerneltest"
)

// resolveStep is one scan of a sequence: the changes in /proc, the sockets, and whether the scan
// has to read descriptors.
type resolveStep struct {
	name    string
	at      time.Duration // since the first
	change  map[string]string
	sockets []closewait.SocketSample
	walks   bool
	want    string // see describeOwners
}

// removed marks what a step removes from the tree.
const removed = "\x00"

func accepted(inode, cookie uint64) closewait.SocketSample {
	return closewait.SocketSample{Facts: closewait.Facts{ID: closewait.CookieID(1, cookie), Inode: inode,
		Local: netip.MustParseAddrPort("10.0.0.1:80"), Remote: netip.MustParseAddrPort("192.0.2.1:9")}}
}

func waiting(cookie uint64) closewait.SocketSample { return accepted(0, cookie) }

// alive is a process with descriptors of sockets.
func alive(pid int, start int, inodes ...int) map[string]string {
	tree := map[string]string{
		fmt.Sprintf("%d/stat", pid): fmt.Sprintf("%d (x) S 1 1 1 0 -1 0 1 0 0 0 1 1 0 0 20 0 1 0 %d 1 1 1 1\n", pid, start),
	}
	for _, inode := range inodes {
		tree[fmt.Sprintf("%d/fd/%d", pid, inode)] = fmt.Sprintf(link+"socket:[%d]", inode)
	}
	tree[fmt.Sprintf("%d/fd/0", pid)] = link + "/dev/null"
	return tree
}

func dead(pid int) map[string]string { return map[string]string{fmt.Sprint(pid): removed} }

func both(trees ...map[string]string) map[string]string {
	all := map[string]string{}
	for _, tree := range trees {
		maps.Copy(all, tree)
	}
	return all
}

// resolve fills in the owners of sockets, as a scan does that has read them. Port 80 of namespace
// 1 has a listener, with inode 91.
func resolve(ctx context.Context, s *procfsScanner, at time.Time, sockets []closewait.SocketSample) error {
	scan := s.begin()
	scan.set.listeners.add(1, netip.MustParseAddrPort("0.0.0.0:80"), listener{inode: 91})
	scan.set.sockets, scan.taken = sockets, at
	_, err := s.owners.resolve(ctx, scan, &s.closed, nil)
	return err
}

func TestDescriptorsAreReadWhenTheyMustBe(t *testing.T) {
	one := []closewait.SocketSample{accepted(11, 1)}
	zombie := strings.NewReplacer(" S ", " Z ").Replace(alive(100, 5)["100/stat"])
	for name, sequence := range map[string][]resolveStep{
		"nothing in CLOSE_WAIT": {
			{"no socket", 0, alive(100, 5, 11), nil, false, ""},
			{"still none, much later", time.Hour, nil, nil, false, ""},
		},
		"a socket that stays": {
			{"the first one", 0, alive(100, 5, 11), one, true, "11: process 100"},
			{"the same one", time.Second, nil, one, false, "11: process 100"},
			{"just before they are outdated", time.Minute - 1, nil, one, false, "11: process 100"},
			{"the holders are outdated", time.Minute, nil, one, true, "11: process 100"},
			{"that was a walk too", 2*time.Minute - 1, nil, one, false, "11: process 100"},
			{"it has left", 2*time.Minute - 1, nil, nil, false, ""},
			{"and comes back, and is searched for again", 2*time.Minute - 1, nil, one, true, "11: process 100"},
		},
		"a new socket": {
			{"the first one", 0, alive(100, 5, 11, 12), one, true, "11: process 100"},
			{"another one besides", 1, nil, []closewait.SocketSample{accepted(11, 1), accepted(12, 2)}, true, "11: process 100, 12: process 100"},
			{"in another order", 2, nil, []closewait.SocketSample{accepted(12, 2), accepted(11, 1)}, false, "12: process 100, 11: process 100"},
			{"another socket has its inode now", 3, both(dead(100), alive(200, 6, 11, 12)),
				[]closewait.SocketSample{accepted(12, 3)}, true, "12: process 200"},
		},
		"several holders": {
			{"two", 0, both(alive(100, 5, 11), alive(200, 6, 11)), one, true, "11: process 100 200"},
			{"one of them has died", 1, dead(100), one, true, "11: process 200"},
			{"and it stays so", 2, nil, one, false, "11: process 200"},
			{"a new one came by fork", 3, alive(300, 7, 11), one, false, "11: process 200"},
			{"which shows in time", time.Minute + 2, nil, one, true, "11: process 200 300"},
		},
		"a pid that is used again": {
			{"a holder", 0, alive(100, 5, 11), one, true, "11: process 100"},
			{"is another process now, which holds nothing", 1, both(map[string]string{"100/fd": removed}, alive(100, 6)), one, true, "11: unresolved"},
		},
		"a holder that is a zombie": {
			{"a holder", 0, both(alive(100, 5, 11), alive(200, 6, 11)), one, true, "11: process 100 200"},
			{"has died, and its parent has not collected it", 1, map[string]string{"100/fd": removed, "100/stat": zombie}, one, true, "11: process 200"},
			{"which is known then", 2, nil, one, false, "11: process 200"},
		},
		"no process holds it": {
			{"searched for", 0, alive(100, 5), one, true, "11: unresolved"},
			{"and again: it may have been between accept and its descriptor", 1, nil, one, true, "11: unresolved"},
			{"and then believed", 2, nil, one, false, "11: unresolved"},
			{"for a while", time.Minute, nil, one, false, "11: unresolved"},
			{"another process has received it", time.Minute + 1, alive(200, 5, 11), one, true, "11: process 200"},
		},
		"a holder that shows a moment later": {
			{"not there yet", 0, alive(100, 5), one, true, "11: unresolved"},
			{"there", 1, alive(200, 6, 11), one, true, "11: process 200"},
			{"known", 2, nil, one, false, "11: process 200"},
		},
		"an unaccepted socket": {
			{"belongs to the holder of its listener", 0, alive(100, 5, 91), []closewait.SocketSample{waiting(1)}, true, "0: unaccepted 100"},
			{"and another one needs no walk", 1, nil, []closewait.SocketSample{waiting(1), waiting(2)}, false, "0: unaccepted 100, 0: unaccepted 100"},
			{"the holder of the listener has died", 2, both(dead(100), alive(200, 6, 91)), []closewait.SocketSample{waiting(1)}, true, "0: unaccepted 200"},
			{"it is accepted", 3, alive(200, 6, 12), []closewait.SocketSample{accepted(12, 1)}, true, "12: process 200"},
		},
		"an unaccepted socket of a listener whose holder is not visible": {
			{"first", 0, alive(100, 5), []closewait.SocketSample{waiting(1)}, true, "0: unaccepted"},
			{"again", 1, nil, []closewait.SocketSample{waiting(1)}, true, "0: unaccepted"},
			{"believed", 2, nil, []closewait.SocketSample{waiting(1)}, false, "0: unaccepted"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			kerneltest.Plant(t, dir, map[string]string{"1/stat": fakeStat})
			s := openFake(t, dir, Options{})
			began := time.Now()
			for _, g := range sequence {
				changeTree(t, dir, g.change)
				walkedAt := s.owners.walkedAt
				if err := resolve(t.Context(), s, began.Add(g.at), g.sockets); err != nil {
					t.Fatal(err)
				}
				s.owners.walkCost = 0 // the real cost must not matter
				if walked := !s.owners.walkedAt.IsZero() && !s.owners.walkedAt.Equal(walkedAt); walked != g.walks {
					t.Errorf("%s: read descriptors: %v, want %v", g.name, walked, g.walks)
				}
				if got := describeOwners(g.sockets); got != g.want {
					t.Errorf("%s: %q, want %q", g.name, got, g.want)
				}
			}
		})
	}
}

// changeTree changes a tree.
func changeTree(t *testing.T, dir string, change map[string]string) {
	t.Helper()
	added := maps.Clone(change)
	for name := range change {
		if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	maps.DeleteFunc(added, func(_, content string) bool { return content == removed })
	kerneltest.Plant(t, dir, added)
}

// describeOwners describes the owner and the holders of each socket.
func describeOwners(sockets []closewait.SocketSample) string {
	var all []string
	for _, s := range sockets {
		one := fmt.Sprintf("%d: %v", s.Inode, s.Owner)
		for _, id := range s.Holders {
			one += fmt.Sprintf(" %d", id.PID)
		}
		all = append(all, one)
	}
	return strings.Join(all, ", ")
}

func TestWalksThatNoNewSocketCausesTakeAHundredthOfTheTime(t *testing.T) {
	dir := t.TempDir()
	kerneltest.Plant(t, dir, both(alive(100, 5, 11)))
	s := openFake(t, dir, Options{Refresh: time.Second})
	began := time.Now()
	for _, c := range []struct {
		at, cost time.Duration // cost of the walk before
		walks    bool
	}{{0, 0, true}, {time.Second, 2 * time.Second, false}, {199 * time.Second, 2 * time.Second, false}, {200 * time.Second, 2 * time.Second, true},
		{201 * time.Second, time.Millisecond, true}, {202*time.Second - 1, time.Millisecond, false}} {
		walkedAt := s.owners.walkedAt
		s.owners.walkCost = c.cost
		if err := resolve(t.Context(), s, began.Add(c.at), []closewait.SocketSample{accepted(11, 1)}); err != nil {
			t.Fatal(err)
		}
		if walked := !s.owners.walkedAt.Equal(walkedAt); walked != c.walks {
			t.Errorf("after %v, when a walk takes %v: walked %v, want %v", c.at, c.cost, walked, c.walks)
		}
	}
}

// TestHoldersAreSharedByTheSocketsThatHaveTheSame matters for the memory of many sockets, and the
// Tracker compares lists by it.
func TestHoldersAreSharedByTheSocketsThatHaveTheSame(t *testing.T) {
	dir := t.TempDir()
	kerneltest.Plant(t, dir, both(alive(100, 5, 11, 12, 13, 14), alive(200, 6, 13, 14)))
	s := openFake(t, dir, Options{Workers: 3})
	sockets := []closewait.SocketSample{accepted(11, 1), accepted(13, 3), accepted(12, 2), accepted(14, 4)}
	if err := resolve(t.Context(), s, time.Now(), sockets); err != nil {
		t.Fatal(err)
	}
	same := func(a, b int) bool { return &sockets[a].Holders[0] == &sockets[b].Holders[0] }
	if !same(0, 2) || !same(1, 3) || same(0, 1) || !slices.Equal(sockets[0].Holders, []closewait.ProcessID{{PID: 100, Start: 5}}) {
		t.Errorf("%s", describeOwners(sockets))
	}
}
