package origin

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"closewait_exporter/closewait"
)

func goFrames(functions ...string) (stack []Frame) {
	for _, f := range functions {
		stack = append(stack, Frame{Function: f, File: "/src/x.go", Line: 7, Language: Go})
	}
	return stack
}

func nativeFrames(exe string, functions ...string) (stack []Frame) {
	for _, f := range functions {
		name, own := strings.CutPrefix(f, "own ")
		module := "/lib/libc.so.6"
		if own {
			module = exe
		}
		stack = append(stack, Frame{Function: name, Module: module, Language: Native})
	}
	return stack
}

func perfFrames(frames ...Frame) []Frame {
	for i := range frames {
		frames[i].Language = PerfMap
	}
	return frames
}

func TestPlaceIsTheFirstCallOfOwnCode(t *testing.T) {
	for name, tt := range map[string]struct {
		exe   string
		stack []Frame
		want  int
	}{
		"Go":             {"/app", goFrames("internal/runtime/syscall/linux.Syscall6", "syscall.Connect", "net.(*Dialer).Dial", "main.fetch", "main.main"), 3},
		"Go module":      {"/app", goFrames("net.(*conn).Read", "golang.org/x/net/http2.(*Transport).dial", "github.com/lib/pq.dial", "main.main"), 2},
		"Go library":     {"/app", goFrames("syscall.Connect", "net.(*sysDialer).dialTCP", "net/http.(*Transport).dialConn", "runtime.goexit"), 2},
		"C":              {"/app", nativeFrames("/app", "connect", "own fetch", "own main", "__libc_start_main", "own _start"), 1},
		"C library only": {"/app", nativeFrames("/app", "connect", "curl_easy_perform", "start_thread"), 1},
		"Python": {"/usr/bin/python3.12", slices.Concat(nativeFrames("/usr/bin/python3.12", "connect", "own sock_connect", "own _PyEval_EvalFrameDefault"),
			perfFrames(Frame{Function: "create_connection", File: "/usr/lib/python3.12/socket.py"}, Frame{Function: "fetch", File: "/srv/client.py"})), 4},
		"Java": {"/usr/lib/jvm/bin/java", slices.Concat(nativeFrames("", "connect", "Java_sun_nio_ch_Net_connect0"),
			perfFrames(Frame{Function: "int sun.nio.ch.Net::connect"}, Frame{Function: "java.net.Socket.connect"}, Frame{Function: "com.example.Client.fetch"})), 4},
		"interpreted Java": {"/usr/lib/jvm/bin/java", slices.Concat(nativeFrames("", "read"), perfFrames(Frame{Function: "Interpreter"}, Frame{Function: "StubRoutines (1)"}),
			[]Frame{{Function: "thread_native_entry", Module: "/usr/lib/jvm/lib/server/libjvm.so", Language: Native}}), 0},
		"no names": {"/app", []Frame{{}, {}}, 0},
		"nothing":  {"/app", nil, 0},
	} {
		if got := place(tt.stack, tt.exe); got != tt.want {
			t.Errorf("%s: place %d, want %d in %v", name, got, tt.want, tt.stack)
		}
	}
}

func TestGroupsAreByStackAndLargestFirst(t *testing.T) {
	a, b := Call{How: Connect, Stack: goFrames("net.Dial", "main.a")}, Call{How: Read, Stack: goFrames("net.Read", "main.b")}
	other := b
	other.Stack = goFrames("net.Read", "main.b")
	other.Stack[1].Line++
	unread := Call{How: NotSeen}
	trace := &Trace{Sockets: []Socket{
		{Born: a, End: unread}, {Born: b, End: b}, {Born: b, End: unread}, {Born: b, End: b}, {Born: other, End: b},
		{Born: Call{How: Connect}, Thread: "one"}, {Born: Call{How: Connect}, Thread: "two"}, {Born: Call{How: Connect}, Thread: "two"},
	}}
	type summary struct {
		Sockets, Place int
		Thread         string
		Ends           []int
	}
	var got []summary
	for _, g := range Groups(trace) {
		s := summary{len(g.Sockets), g.Place, g.Thread, nil}
		for _, e := range g.Ends {
			s.Ends = append(s.Ends, e.Count)
		}
		got = append(got, s)
		if want := float64(len(g.Sockets)) / 8; g.Share != want {
			t.Errorf("share %v, want %v", g.Share, want)
		}
	}
	want := []summary{{3, 1, "", []int{2, 1}}, {2, 0, "two", []int{2}}, {1, 1, "", []int{1}}, {1, 1, "", []int{1}}, {1, 0, "one", []int{1}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if groups := Groups(&Trace{}); len(groups) != 0 {
		t.Errorf("groups of nothing: %v", groups)
	}
}

func TestAdviceNamesTheToolThatShowsMore(t *testing.T) {
	for name, tt := range map[string]struct {
		exe  string
		born Call
		want string // empty: none
	}{
		"http.Get without Close":      {"/app", Call{Stack: goFrames("net.(*Dialer).Dial", "net/http.(*Transport).dialConn")}, "bodyclose"},
		"io_uring":                    {"/app", Call{Stack: nativeFrames("/app", "io_uring_enter", "own main")}, "io_uring:io_uring_submit_req"},
		"Node":                        {"/usr/bin/node", Call{Stack: nativeFrames("/usr/bin/node", "connect", "own uv__tcp_connect")}, "--perf-basic-prof"},
		"Java":                        {"/usr/lib/jvm/bin/java", Call{Stack: []Frame{{}}}, "Compiler.perfmap"},
		"Python":                      {"/usr/bin/python3.11", Call{Stack: nativeFrames("/usr/bin/python3.11", "own sock_connect")}, "-X perf"},
		"Python with perf":            {"/usr/bin/python3.12", Call{Stack: perfFrames(Frame{Function: "fetch"})}, ""},
		"C without frame pointers":    {"/app", Call{Stack: nativeFrames("/app", "connect"), Cut: true}, "-fno-omit-frame-pointer"},
		"C that ends in its library":  {"/app", Call{Stack: nativeFrames("/app", "connect")}, "-fno-omit-frame-pointer"},
		"files that are not readable": {"/app", Call{Stack: []Frame{{Module: "/app"}, {Module: "/app"}}}, ""},
		"C with frame pointers":       {"/app", Call{Stack: nativeFrames("/app", "connect", "own main")}, ""},
		"Node whose file is deleted":  {"/usr/bin/node (deleted)", Call{Stack: []Frame{{}}}, "--perf-basic-prof"},
	} {
		trace := &Trace{Process: closewait.Process{Exe: tt.exe}, Sockets: []Socket{{Born: tt.born}, {Born: tt.born}}}
		texts := Advice(trace)
		if tt.want == "" && len(texts) > 0 || tt.want != "" && (len(texts) != 1 || !strings.Contains(texts[0], tt.want)) {
			t.Errorf("%s: %q, want %q", name, texts, tt.want)
		}
	}
}

func TestChainShowsOwnCodeOnly(t *testing.T) {
	trace := &Trace{Process: closewait.Process{Exe: "/app"}}
	call := &Call{Stack: goFrames("net.Dial", "main.a", "io.Copy", "main.b", "main.c", "main.d", "main.e"), Cut: true}
	calls, more := trace.Chain(call, 1)
	if got := strings.Join(calls, " "); got != "main.a x.go:7 main.b x.go:7 main.c x.go:7 main.d x.go:7" || !more {
		t.Errorf("%q, more %t", got, more)
	}
	for want, f := range map[string]Frame{
		"[libc.so.6]":           {Module: "/lib/libc.so.6"},
		"[vdso]":                {Module: "[vdso]"},
		"[code without a name]": {},
		"[generated code]":      {Module: "//anon"},
		"f x.py":                {Function: "f", File: "/srv/x.py"},
	} {
		if got := f.String(); got != want {
			t.Errorf("%+v is %q, want %q", f, got, want)
		}
	}
}
