package reapertest

import (
	"fmt"
	"testing"
	"time"
)

// What clients do again and again: they leave, and others connect.
const (
	rotation      = "close 10; leak 10"
	rotatedResets = "reset 10; discard 10; leak 10"
	rotated       = 10 // sockets per turn
)

// attack is what clients do to a server that has no leak.
type attack struct {
	name  string
	leak  string // flags of the server
	first string // commands to run once
	turn  string // commands to repeat
	want  string // the decision that protects the server
}

// attacks are tried on a server that has descriptors left, and on a server whose clients have used
// them up. There the only protection is that each socket of the evidence has to be old, quiet and
// accepted.
var attacks = []attack{
	{name: "rotate1", leak: "--sockets=20", turn: rotation, want: "pending"},
	{name: "rotate1full", leak: "--sockets=60 --nofile=80", turn: rotation, want: "pending"},
	{name: "rotate60", leak: "--sockets=20 --peers=60", turn: rotation, want: "pending"},
	{name: "rotate60full", leak: "--sockets=60 --peers=60 --nofile=80", turn: rotation, want: "pending"},
	{name: "longpoll", leak: "--sockets=30", want: "enough_fds"},
	{name: "longpoll60", leak: "--sockets=60 --peers=60", want: "enough_fds"},
	{name: "longpollfull", leak: "--sockets=60 --nofile=80", want: "peer_share"},
	{name: "stream", leak: "--stream=20 --nofile=60", turn: "state", want: "pending"},
	{name: "backlog", leak: "--unaccepted=10 --established=22 --nofile=70", want: "pending"},
	{name: "slowreader", leak: "--slow-readers=20 --nofile=60", want: "pending"},
	{name: "resets", leak: "--sockets=30", first: "reset 30", want: "enough_fds"},
	{name: "resets60", leak: "--sockets=60 --peers=60", first: "reset 60", want: "enough_fds"},
	{name: "resetsfull", leak: "--sockets=60 --nofile=80", first: "reset 60", want: "peer_share"},
	{name: "resetshalf", leak: "--sockets=60 --nofile=80", first: "reset 30", want: "peer_share"},
	{name: "rotateresets", leak: "--sockets=20", turn: rotatedResets, want: "pending"},
	{name: "rotateresetsfull", leak: "--sockets=60 --peers=60 --nofile=80", turn: rotatedResets, want: "pending"},
}

// TestNoClientCanMakeTheReaperEndAServerWithoutALeak knows how old the sockets of each server have
// become, as the server confirms each turn. Where the machine stalls a server for longer than
// when.age, the server really has a leak, and it is right to act: the attack is then repeated with
// a longer when.age.
func TestNoClientCanMakeTheReaperEndAServerWithoutALeak(t *testing.T) {
	runs := 1
	if long {
		runs = 20
	}
	for run := range runs {
		const shortest, longest = 4 * time.Second, 32 * time.Second
		for age, stalled := shortest, true; stalled; age *= 2 {
			if age > longest {
				t.Fatalf("run %d: this machine stalls servers for longer than %v each time", run, longest)
			}
			t.Run(fmt.Sprintf("run %d, age %v", run, age), func(t *testing.T) { stalled = attackAll(t, age) })
		}
	}
}

// attackAll runs all attacks in parallel, over IPv4 and IPv6, for several times when.age. It
// reports whether the machine stalled a server, so that the run proves nothing about it.
func attackAll(t *testing.T, age time.Duration) (stalled bool) {
	families := map[string]string{"": "127.0.0.1:0", "v6": "[::1]:0"}
	careful := fmt.Sprintf("when: {sockets: 5, age: %v, fds: 80%%, peer_share: 25%%}\n", age) + hard
	rules, exes := preamble, map[string]string{}
	for _, a := range attacks {
		for suffix := range families {
			exes[a.name+suffix] = leakAs(t, a.name+suffix)
			rules += rule(a.name+suffix, exes[a.name+suffix], careful)
		}
	}
	e := enforcing(t, rules)
	servers := map[string]*attacked{}
	for i := range attacks {
		for suffix, address := range families {
			name := attacks[i].name + suffix
			servers[name] = attacks[i].start(t, exes[name], address)
		}
	}
	e.awaitRounds(2) // not every scanner sees a reset connection that it has not seen in CLOSE_WAIT
	for _, s := range servers {
		if s.first != "" {
			s.target.Do(s.first)
		}
	}
	values := e.attackFor(4*age, servers)
	for name, s := range servers {
		about := values.about(`rule="` + name + `"}`)
		acted := values[decisions(name, "act")] != 0 || values[actions(name, "signal")] != 0 || !s.target.alive()
		switch {
		case s.oldest() >= age:
			t.Logf("%s: the machine has stalled it for %v, acted upon: %v", name, s.oldest(), acted)
			stalled = true
		case acted:
			t.Errorf("%s: it was acted upon, and its sockets were at most %v old: %v", name, s.oldest(), about)
		case values[decisions(name, s.want)] < enoughDecisions:
			t.Errorf("%s: it is not %s that protects the server: %v", name, s.want, about)
		case s.failed != nil:
			t.Errorf("%s: %v", name, s.failed)
		}
	}
	return stalled
}

// enoughDecisions of the expected kind show what protects a server.
const enoughDecisions = 5
