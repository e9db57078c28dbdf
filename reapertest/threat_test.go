package reapertest

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"closewait_exporter/internal/leaktest"
)

// careful is a rule as docs/REAPER.md recommends them, in a hurry, yet such that a machine on which a turn of all
// attacks takes half a second still renews 60 sockets before they are old.
const careful = "when: {sockets: 5, age: 4s, fds: 80%, peer_share: 25%, include_defunct: true}\n" + hard

// What clients do again and again.
const (
	rotation      = "close 10; leak 10"
	rotatedResets = "reset 10; bury 10; leak 10"
)

// attack is what clients do to a server that has no leak.
type attack struct {
	name  string
	leak  string // how the server looks like then; empty: it is a feeder
	first string // what clients do when it is there
	turn  string // and again and again: they leave, and others come
	want  string // the decision that saves the server
}

// attacks are tried with a server that has descriptors left, and where the clients have used them
// up: what is left then is that each socket has to be old and quiet, and accepted.
var attacks = []attack{
	{name: "rotate1", leak: "--sockets=20", turn: rotation, want: "pending"},
	{name: "rotate1full", leak: "--sockets=60 --nofile=80", turn: rotation, want: "pending"},
	{name: "rotate60", leak: "--sockets=20 --peers=60", turn: rotation, want: "pending"},
	{name: "rotate60full", leak: "--sockets=60 --peers=60 --nofile=80", turn: rotation, want: "pending"},
	{name: "longpoll", leak: "--sockets=30", want: "enough_fds"},
	{name: "longpoll60", leak: "--sockets=60 --peers=60", want: "enough_fds"},
	{name: "longpollfull", leak: "--sockets=60 --nofile=80", want: "peer_share"},
	{name: "stream", leak: "--stream=20 --nofile=60", want: "pending"},
	{name: "backlog", leak: "--unaccepted=10 --established=22 --nofile=70", want: "pending"},
	{name: "slowreader", want: "pending"},
	{name: "resets", leak: "--sockets=30", first: "reset 30", want: "enough_fds"},
	{name: "resets60", leak: "--sockets=60 --peers=60", first: "reset 60", want: "enough_fds"},
	{name: "resetsfull", leak: "--sockets=60 --nofile=80", first: "reset 60", want: "peer_share"},
	{name: "resetshalf", leak: "--sockets=60 --nofile=80", first: "reset 30", want: "peer_share"},
	{name: "rotateresets", leak: "--sockets=20", turn: rotatedResets, want: "pending"},
	{name: "rotateresetsfull", leak: "--sockets=60 --peers=60 --nofile=80", turn: rotatedResets, want: "pending"},
}

func TestNoClientCanMakeTheReaperEndAServerWithoutALeak(t *testing.T) {
	runs := 1
	if long {
		runs = 20
	}
	for run := range runs {
		t.Run(fmt.Sprint(run), attackAll)
	}
}

// attackAll lets all attacks happen side by side, over IPv4 and IPv6.
func attackAll(t *testing.T) {
	families := map[string]string{"": "127.0.0.1:0", "v6": "[::1]:0"}
	rules, exes := preamble, map[string]string{}
	for _, a := range attacks {
		for suffix := range families {
			source := leaktest.Build(t)
			if a.leak == "" {
				source = "/proc/self/exe"
			}
			exes[a.name+suffix] = copyOf(t, source, a.name+suffix)
			rules += rule(a.name+suffix, exes[a.name+suffix], careful)
		}
	}
	e := enforcing(t, rules)
	servers := map[string]*server{}
	for _, a := range attacks {
		for suffix, address := range families {
			servers[a.name+suffix] = a.begin(t, exes[a.name+suffix], address)
		}
	}
	e.awaitRounds(2) // not every engine knows of a reset connection that it has not seen before
	for _, s := range servers {
		s.first()
	}
	pace := time.NewTicker(50 * time.Millisecond)
	defer pace.Stop()
	for started := time.Now(); time.Since(started) < attacked; <-pace.C {
		for _, s := range servers {
			s.turn()
		}
	}
	values := e.scrape()
	for name, s := range servers {
		about := values.about("rule=\"" + name + "\"}")
		if values[decisions(name, s.want)] < 5 || values[decisions(name, "act")] != 0 || values[actions(name, "signal")] != 0 {
			t.Errorf("%s: it is not %s that saves the server: %v", name, s.want, about)
		}
		if !living(s.pidfd) {
			t.Errorf("%s: the server was ended: %v", name, about)
		}
	}
}

// attacked is for how long: several times when.age.
const attacked = 16 * time.Second

// server is one that is attacked, and what its clients do: first, and then again and again.
type server struct {
	*attack
	pidfd int
	first func()
	turn  func()
}

// begin starts the server and the attack.
func (a *attack) begin(t *testing.T, exe, address string) *server {
	t.Helper()
	if a.leak == "" {
		pidfd, read := feeder(t, exe, address)
		return &server{a, pidfd, func() {}, read}
	}
	l := leaktest.Where{Program: exe}.Start(t, append(strings.Fields(a.leak), "--listen="+address)...)
	return &server{a, openProcess(t, l.PID), orders(l, a.first), orders(l, a.turn)}
}

func orders(l *leaktest.Leak, commands string) func() {
	return func() {
		for _, command := range strings.FieldsFunc(commands, func(r rune) bool { return r == ';' }) {
			l.Do(strings.TrimSpace(command))
		}
	}
}

// feeder starts a server, and clients of it that have closed their half and read slowly.
func feeder(t *testing.T, exe, address string) (pidfd int, read func()) {
	t.Helper()
	cmd := exec.Command(exe, address)
	cmd.Env = append(os.Environ(), roleVariable+"="+feederRole)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stdin.Close(); _ = cmd.Wait() })
	at, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	var clients []net.Conn
	for range 20 {
		client, err := net.Dial("tcp", strings.TrimSpace(at))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { client.Close() })
		if err := client.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		clients = append(clients, client)
	}
	return openProcess(t, cmd.Process.Pid), func() {
		for _, client := range clients {
			_, _ = io.ReadFull(client, make([]byte, 100))
		}
	}
}
