package diagnose

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"closewait_exporter/closewait"
)

var (
	now    = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	self   = closewait.ProcessID{PID: 42, Start: 7}
	server = netip.MustParseAddrPort("127.0.0.1:8080")
	remote = netip.MustParseAddrPort("192.0.2.9:5432")
)

func client(port uint16) netip.AddrPort {
	return netip.AddrPortFrom(netip.MustParseAddr("192.0.2.1"), port)
}

// facts describe a process with nothing to find. Each option changes something.
func facts(options ...func(*Facts)) *Facts {
	f := &Facts{
		Holder:  &closewait.Holder{Process: closewait.Process{ID: self, Comm: "shop", FDsKnown: true, OpenFDs: 20, MaxFDs: 1024}},
		Taken:   now,
		Runtime: Native, Between: 300 * time.Millisecond, SocketsKnown: true, CallsKnown: true,
		CPU:     CPU{Known: true, Wanted: 0.01},
		Sockets: []Socket{{FD: 3, State: Listening, Local: server, SendQueue: 128}},
		Threads: []Thread{{TID: 42, Name: "shop", State: 'S', Still: true, Call: "epoll_wait", FDs: []int{3}, Socket: -1}},
	}
	for _, option := range options {
		option(f)
	}
	return f
}

// ended adds n ended sockets of an age, inbound on port 8080.
func ended(n int, age time.Duration, change ...func(*closewait.Socket)) func(*Facts) {
	return func(f *Facts) {
		list := f.Holder.Ended.Sockets
		for i := range n {
			s := &closewait.Socket{
				Facts: closewait.Facts{
					ID: closewait.CookieID(1, uint64(len(list)+1)), Local: server, Remote: client(uint16(40000 + i)),
					Inode: uint64(100 + i), State: closewait.CloseWait, Direction: closewait.Inbound,
				},
				Holders: []closewait.ProcessID{self}, FirstSeen: now, Since: now.Add(-age), QuietSince: now.Add(-age),
			}
			for _, c := range change {
				c(s)
			}
			list = append(list, s)
		}
		f.Holder.Ended = closewait.NewHolding(list)
	}
}

func unread(bytes uint32) func(*closewait.Socket) {
	return func(s *closewait.Socket) { s.RecvQueue = bytes }
}

func outbound(s *closewait.Socket) {
	s.Local, s.Remote, s.Direction = s.Remote, remote, closewait.Outbound
}

func closed(s *closewait.Socket) {
	s.State, s.AgeIsLowerBound, s.Direction = closewait.Closed, true, closewait.UnknownDirection
}

// shutDown adds n connections whose own side is shut down.
func shutDown(n int) func(*Facts) {
	return func(f *Facts) {
		for range n {
			f.Sockets = append(f.Sockets, Socket{State: ShutDown, Local: client(5), Remote: remote})
		}
	}
}

// shutDownSeen adds n such connections that the scan has found.
func shutDownSeen(n int) func(*Facts) {
	return func(f *Facts) {
		var list []*closewait.Socket
		for i := range n {
			list = append(list, &closewait.Socket{
				Facts:     closewait.Facts{ID: closewait.CookieID(1, uint64(2000+i)), Local: client(5), Remote: remote, Inode: 1, State: closewait.FinWait2},
				FirstSeen: now, Since: now,
			})
		}
		f.Holder.Other = closewait.NewHolding(list)
	}
}

// neverConnected adds n sockets that were never connected.
func neverConnected(n int) func(*Facts) {
	return func(f *Facts) {
		var list []*closewait.Socket
		for i := range n {
			list = append(list, &closewait.Socket{
				Facts:     closewait.Facts{ID: closewait.CookieID(1, uint64(1000+i)), Local: client(5), Remote: remote, Inode: 1, State: closewait.Unconnected},
				FirstSeen: now, Since: now,
			})
		}
		f.Holder.Other = closewait.NewHolding(list)
	}
}

// queue lets n connections wait in the accept queue.
func queue(n uint32, age time.Duration) func(*Facts) {
	return func(f *Facts) { f.Sockets[0].RecvQueue, f.Sockets[0].QueueAge = n, age }
}

// workers replaces the threads by n that read from connections, which open makes.
func workers(n int, name string, open func(i int) Socket) func(*Facts) {
	return func(f *Facts) {
		f.Threads = nil
		for i := range n {
			f.Sockets = append(f.Sockets, open(i))
			f.Threads = append(f.Threads, Thread{TID: 50 + i, Name: name + string(rune('0'+i)), State: 'S', Still: true, Call: "recvfrom", FDs: []int{10 + i}, Socket: len(f.Sockets) - 1})
		}
	}
}

// request is a connection on which a request was sent some time ago, without an answer.
func request(to netip.AddrPort, ago time.Duration, peer Peer) func(int) Socket {
	return func(i int) Socket {
		return Socket{
			FD: 10 + i, State: Established, Local: client(uint16(50000 + i)), Remote: to, HasTimes: true,
			SinceSent: ago, SinceReceived: ago + time.Second, Peer: peer,
		}
	}
}

func threads(list ...Thread) func(*Facts) { return func(f *Facts) { f.Threads = list } }

func each(list []func(*Facts)) func(*Facts) {
	return func(f *Facts) {
		for _, o := range list {
			o(f)
		}
	}
}

func TestEachKindOfVerdict(t *testing.T) {
	sharedWith := func(pid int) func(*closewait.Socket) {
		return func(s *closewait.Socket) { s.Holders = append(s.Holders, closewait.ProcessID{PID: pid, Start: 9}) }
	}
	inKernel := Thread{TID: 43, Name: "shop", State: 'D', Still: true, Call: "read", FDs: []int{9}, Kernel: "nfs_wait", Socket: -1, On: "a file"}
	locked := Thread{TID: 43, Name: "worker-1", State: 'S', Still: true, Call: "futex", Socket: -1}
	tests := []struct {
		name string
		with []func(*Facts)
		kind Kind
		sure Confidence
		says string // in the summary or the evidence
	}{
		{"nothing", nil, NothingWrong, Likely, "1 listener"},
		{"a process without threads that were read", []func(*Facts){threads()}, NothingWrong, Likely, ""},
		{"frozen, with a leak that it cannot help", []func(*Facts){ended(3, time.Hour), func(f *Facts) { f.Halted = "frozen by its cgroup" }}, Halted, Sure, "frozen by its cgroup"},

		{"all workers call the process itself, accepted and unread", []func(*Facts){workers(4, "http-exec-", request(server, 6*time.Second, Peer{Place: OwnProcess, Unread: 151}))}, WaitsForItself, Sure, `4 of 4 threads named "http-exec"`},
		{"all workers call the process itself, in its accept queue", []func(*Facts){workers(2, "python", request(server, 6*time.Second, Peer{Place: OwnQueue})), queue(2, 6*time.Second)}, WaitsForItself, Sure, "its own accept queue"},
		{"some workers call the process itself", []func(*Facts){workers(2, "w", request(server, 6*time.Second, Peer{Place: OwnQueue})), func(f *Facts) {
			f.Threads = append(f.Threads, Thread{TID: 9, Name: "w9", State: 'S', Still: true, Call: "futex", Socket: -1})
		}}, WaitsForItself, Likely, "2 of 3"},
		{"goroutines call the process itself", []func(*Facts){func(f *Facts) {
			f.Sockets = append(f.Sockets, request(server, 6*time.Second, Peer{Place: OwnProcess, Unread: 80})(0))
		}}, WaitsForItself, Likely, "80 bytes"},
		{"a slow request to itself that is being served", []func(*Facts){workers(1, "w", request(server, 6*time.Second, Peer{Place: OwnProcess}))}, NothingWrong, Likely, ""},
		{"goroutines that have read requests to itself, and clients that have gone", []func(*Facts){ended(3, time.Minute), workers(2, "w", request(server, 6*time.Second, Peer{Place: OwnProcess}))}, WaitsForItself, Possible, "2 requests to its own port 8080 are read"},
		{"a slow request to itself, and an old leak", []func(*Facts){ended(3, time.Hour), workers(1, "w", request(server, 3*time.Second, Peer{Place: OwnProcess}))}, NeverCloses, Sure, ""},
		{"a request to itself that was sent just now", []func(*Facts){workers(1, "w", request(server, 100*time.Millisecond, Peer{Place: OwnProcess, Unread: 80}))}, NothingWrong, Likely, ""},
		{"an unread message on an idle connection to itself", []func(*Facts){func(f *Facts) {
			s := request(server, 6*time.Second, Peer{Place: OwnProcess, Unread: 1})(0)
			s.SinceSent, s.SinceReceived, s.BytesReceived = s.SinceReceived, s.SinceSent, 5
			f.Sockets = append(f.Sockets, s)
		}}, NothingWrong, Likely, ""},

		{"workers wait for a database, clients have gone", []func(*Facts){workers(3, "worker-", request(remote, 20*time.Second, Peer{Place: OtherProcess, PID: 77, Comm: "postgres"})), ended(5, time.Minute, unread(100))}, WaitsForPeer, Likely, "process 77 (postgres)"},
		{"workers cannot connect to a database", []func(*Facts){workers(3, "worker-", func(i int) Socket {
			return Socket{FD: 10 + i, State: Connecting, Local: client(5), Remote: remote}
		}), queue(5, 3*time.Second)}, WaitsForPeer, Likely, "3 connections are not even established"},
		{"workers wait for a database, and no client is kept waiting", []func(*Facts){workers(3, "worker-", request(remote, 20*time.Second, Peer{}))}, NothingWrong, Likely, "192.0.2.9:5432"},
		{"one worker of many waits for a database", []func(*Facts){workers(1, "worker-", request(remote, 20*time.Second, Peer{})), func(f *Facts) { f.Threads = append(f.Threads, locked, locked) }, ended(5, time.Minute, unread(100))}, NeverReads, Likely, ""},
		{"subscribers that wait for a message are no workers that wait for an answer", []func(*Facts){workers(2, "sub-", func(i int) Socket {
			s := request(remote, time.Minute, Peer{})(i)
			s.SinceReceived, s.BytesReceived = time.Second*30, 10
			return s
		}), ended(5, time.Hour)}, NeverCloses, Sure, ""},

		{"throttled, and young ended sockets", []func(*Facts){ended(9, 3*time.Second, unread(100)), func(f *Facts) { f.CPU = CPU{Known: true, Throttled: 1} }}, Overload, Likely, "CPU quota in 100%"},
		{"no processor, and connections that wait", []func(*Facts){queue(9, 2*time.Second), func(f *Facts) { f.CPU = CPU{Known: true, Wanted: 3, Waited: 0.9} }}, Overload, Likely, "for 90% of the time"},
		{"throttled, and an old leak", []func(*Facts){ended(9, time.Hour), func(f *Facts) { f.CPU = CPU{Known: true, Throttled: 1} }}, NeverCloses, Sure, ""},
		{"throttled, and nothing waits", []func(*Facts){func(f *Facts) { f.CPU = CPU{Known: true, Throttled: 1} }}, NothingWrong, Likely, ""},
		{"busy for a moment on a busy host", []func(*Facts){ended(9, 10*time.Second), func(f *Facts) { f.CPU = CPU{Known: true, Wanted: 0.1, Waited: 0.9} }}, NeverCloses, Likely, ""},

		{"no descriptors left", []func(*Facts){ended(1000, time.Hour), queue(128, time.Minute), func(f *Facts) { f.Holder.OpenFDs = 1024 }}, OutOfDescriptors, Sure, "1024 of 1024"},
		{"an accept loop that waits for a lock", []func(*Facts){queue(5, 12*time.Second), threads(locked)}, AcceptQueue, Sure, "futex"},
		{"an accept loop that polls its listener and accepts nothing", []func(*Facts){queue(5, 12*time.Second)}, AcceptQueue, Possible, "A thread waits for events"},
		{"an accept queue that a worker process has to serve", []func(*Facts){queue(5, 12*time.Second), threads(locked), func(f *Facts) { f.Sockets[0].Others = []int{77, 78} }}, AcceptQueue, Possible, "pid 77, 78"},
		{"an accept queue while the threads run", []func(*Facts){queue(5, 12*time.Second), threads(Thread{TID: 43, Name: "x", State: 'R', Socket: -1})}, AcceptQueue, Likely, "running"},
		{"an accept queue that moves", []func(*Facts){queue(5, 12*time.Second), func(f *Facts) { f.Sockets[0].Moved = true }}, NothingWrong, Likely, ""},
		{"an accept queue for a moment", []func(*Facts){queue(5, 100*time.Millisecond)}, NothingWrong, Likely, ""},
		{"blocked in the kernel, with a leak", []func(*Facts){ended(3, time.Minute, unread(100)), threads(inKernel)}, Uninterruptible, Likely, "nfs_wait"},
		{"blocked in the kernel, without any effect", []func(*Facts){threads(inKernel)}, NothingWrong, Likely, "uninterruptible sleep in nfs_wait"},

		{"a proxy that passes half-closes on", []func(*Facts){ended(12, time.Hour), shutDown(12)}, HalfCloseProxy, Likely, "192.0.2.9:5432 (12 of 12)"},
		{"a proxy whose descriptors could not be read", []func(*Facts){ended(12, time.Hour), shutDownSeen(12), func(f *Facts) { f.SocketsKnown = false }}, HalfCloseProxy, Likely, "192.0.2.9:5432 (12 of 12)"},
		{"sockets shared with a child", []func(*Facts){ended(4, time.Hour, sharedWith(43))}, Shared, Sure, "pid 43"},
		{"one of four shared", []func(*Facts){ended(3, time.Hour), ended(1, time.Hour, sharedWith(43))}, NeverCloses, Sure, ""},
		{"data unread, inbound", []func(*Facts){ended(4, time.Hour, unread(100)), threads(locked)}, NeverReads, Likely, "futex"},
		{"only the end unread, inbound", []func(*Facts){ended(4, time.Hour, unread(1))}, NeverReads, Likely, "their end"},
		{"answers unread, outbound", []func(*Facts){ended(4, time.Hour, outbound, unread(5000))}, NeverReads, Likely, "answers on 4 connections"},
		{"the end read", []func(*Facts){ended(4, time.Hour)}, NeverCloses, Sure, "close()"},
		{"handed over by another process", []func(*Facts){ended(4, time.Hour), func(f *Facts) { f.Sockets = nil }}, NeverCloses, Sure, "It holds no listener on port 8080"},
		{"the end read, a moment ago", []func(*Facts){ended(4, 20*time.Second)}, NeverCloses, Likely, ""},
		{"over on both sides, seen twice", []func(*Facts){ended(4, 1500*time.Millisecond, closed)}, NeverCloses, Likely, "reset or timed out"},
		{"an idle pool", []func(*Facts){ended(4, time.Hour, outbound, unread(1))}, IdlePool, Likely, "outbound port 5432"},
		{"never connected", []func(*Facts){neverConnected(30)}, Unconnected, Likely, "30 sockets"},
		{"shut down on this side only", []func(*Facts){shutDown(30)}, PeerKeepsOpen, Likely, "30 connections"},
		{"a half-closed connection that still moves", []func(*Facts){ended(1, time.Hour), func(f *Facts) {
			f.Sockets = append(f.Sockets, Socket{State: Ending, Local: server, Remote: client(40000), Moved: true})
		}}, HalfClose, Likely, "data still flows"},

		{"ended sockets that are young", []func(*Facts){ended(4, 2*time.Second)}, Unknown, Possible, "too young"},
		{"ended sockets of a moment", []func(*Facts){ended(4, 200*time.Millisecond)}, NothingWrong, Likely, ""},
		{"as many of each class", []func(*Facts){ended(2, time.Hour), ended(2, time.Hour, unread(100))}, Unknown, Possible, "no reason"},
		{"no rights to read the sockets", []func(*Facts){func(f *Facts) { f.Sockets, f.SocketsKnown = nil, false }}, Unknown, Possible, "not everything could be read"},
		{"no rights to read the threads", []func(*Facts){func(f *Facts) { f.CallsKnown = false }}, Unknown, Possible, "not everything could be read"},
	}
	seen := map[Kind]bool{}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := facts(each(tt.with))
			v := Diagnose(f)
			seen[v.Kind] = true
			if v.Kind != tt.kind || v.Confidence != tt.sure {
				t.Errorf("%s (%s): %s %q, want %s (%s)", v.Kind, v.Confidence, v.Summary, v.Evidence, tt.kind, tt.sure)
			}
			if text := v.Summary + strings.Join(v.Evidence, " "); !strings.Contains(text, tt.says) {
				t.Errorf("%q is not in %q", tt.says, text)
			}
			if v.Wrong() && v.Next == "" {
				t.Error("there is no next command")
			}
		})
	}
	for _, kind := range slices.Concat(Kinds, []Kind{Unknown, NothingWrong}) {
		if !seen[kind] {
			t.Errorf("no case has the verdict %s", kind)
		}
	}
	if len(Kinds) != len(rules) {
		t.Errorf("%d kinds are checked in order, and there are %d rules", len(Kinds), len(rules))
	}
}

func TestTheNextCommandFitsTheRuntime(t *testing.T) {
	for runtime, want := range map[Runtime]string{
		Java: "jstack 42", Go: "pprof/goroutine", Python: "py-spy dump --nonblocking --pid 42", Node: "node inspect -p 42", Native: "gdb -p 42",
	} {
		v := Diagnose(facts(ended(3, time.Hour), func(f *Facts) { f.Runtime = runtime }))
		if !strings.Contains(v.Next, want) {
			t.Errorf("%s: %q, want %q in it", runtime, v.Next, want)
		}
	}
}

func TestThreadsOfAPoolShareAName(t *testing.T) {
	for name, want := range map[string]string{
		"http-exec-12": "http-exec", "pool-1-thread-3": "pool-1-thread", "GC Thread#0": "GC Thread", "nginx": "nginx", "42": "42", "": "",
	} {
		if got := stem(name); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}
