package rules

import (
	"fmt"
	"strings"
	"testing"
)

// TestARuleThatAnyPeerCanTriggerIsRefused: a client can put any number of sockets of a healthy
// server into CLOSE_WAIT, until the server closes them. A proxy connects to where its clients want,
// so that they can do the same with sockets that it has opened itself.
func TestARuleThatAnyPeerCanTriggerIsRefused(t *testing.T) {
	const (
		term   = "signal: {name: TERM}"
		guard  = "run: {command: [/bin/guard]}"
		reason = "rules.yml:%d: rule web: step %d (signal): signal %s can end the process because of its sockets alone, and any peer can put sockets into " +
			"CLOSE_WAIT on purpose, outbound ones too: add when.fds, such as fds: 80%%, or a run step before this one, " +
			"or accept_remote_trigger: true"
		states = "rules.yml:4: rule web: when.states: in a rule that can end a process, %s needs fds, such as fds: 80%%: one network failure closes all idle connections of a healthy pool"
	)
	cases := map[string]struct {
		when, more string
		steps      []string
		want       string
	}{
		"TERM and nothing else":            {steps: []string{term}, want: fmt.Sprintf(reason, 6, 1, "TERM")},
		"TERM of inbound evidence":         {when: "direction: inbound", steps: []string{term}, want: fmt.Sprintf(reason, 6, 1, "TERM")},
		"KILL":                             {steps: []string{"signal: {name: KILL}"}, want: fmt.Sprintf(reason, 6, 1, "KILL")},
		"a signal that is often handled":   {steps: []string{"signal: {name: USR1}"}, want: fmt.Sprintf(reason, 6, 1, "USR1")},
		"a guard that is asked too late":   {steps: []string{"signal: {name: HUP}", guard, term}, want: fmt.Sprintf(reason, 6, 1, "HUP")},
		"a mild step is no guard":          {steps: []string{"destroy: {}", term}, want: fmt.Sprintf(reason, 7, 2, "TERM")},
		"a peer share is no protection":    {when: "peer_share: 25%", steps: []string{term}, want: fmt.Sprintf(reason, 6, 1, "TERM")},
		"a long age is no protection":      {when: "for: 1d, sockets: 1000", steps: []string{term}, want: fmt.Sprintf(reason, 6, 1, "TERM")},
		"closed sockets, with a guard":     {when: "states: [close_wait, closed]", steps: []string{guard, term}, want: fmt.Sprintf(states, "[closed]")},
		"other sockets, accepting it":      {when: "states: [fin_wait2, unconnected]", more: "accept_remote_trigger: true", steps: []string{term}, want: fmt.Sprintf(states, "[fin_wait2, unconnected]")},
		"closed sockets, with a threshold": {when: "states: [closed], fds: 80%", steps: []string{term}},
		"not accepting it":                 {more: "accept_remote_trigger: false", steps: []string{term}, want: fmt.Sprintf(reason, 6, 1, "TERM")},
		"with a threshold of descriptors":  {when: "fds: 80%", steps: []string{term}},
		"with a guard":                     {steps: []string{guard, term}},
		"TERM of outbound evidence":        {when: "direction: outbound", steps: []string{term}, want: fmt.Sprintf(reason, 6, 1, "TERM")},
		"accepting it":                     {more: "accept_remote_trigger: true", steps: []string{term}},
		"with a signal that ends nothing":  {steps: []string{"signal: {name: WINCH}"}},
		"with steps that end nothing":      {steps: []string{"raise_nofile: {}", "destroy: {}", "shutdown: {}", "thread_dump: {}"}},
		"a wrong threshold is said alone":  {when: "fds: most", steps: []string{term}, want: `rules.yml:4: rule web: when.fds: "most" is neither a number of descriptors nor a percentage of the limit: write such as 900 or 80%`},
		"a wrong direction is said too":    {when: "fds: 80%, direction: out", steps: []string{term}, want: `rules.yml:4: rule web: when.direction: "out" is not known: write any or inbound or outbound`},
		"a wrong acceptance is said alone": {more: "accept_remote_trigger: 1", steps: []string{term}, want: `rules.yml:7: rule web: accept_remote_trigger: "1" is neither true nor false: write one of the two`},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			when := strings.TrimSuffix("{age: 60s, "+c.when, ", ") + "}"
			text := strings.NewReplacer("{age: 60s}", when, "- destroy: {}", "- "+strings.Join(c.steps, "\n      - ")).Replace(smallest)
			_, err := Parse("rules.yml", []byte(text+"    "+c.more+"\n"))
			got := ""
			if err != nil {
				got = err.Error()
			}
			if got != c.want {
				t.Errorf("got  %v\nwant %s\n%s", err, c.want, text)
			}
		})
	}
}

func TestRemediationsThatMakeSense(t *testing.T) {
	cases := map[string][]string{
		"every step, mildest first": {"raise_nofile: {}", "run: {command: [/bin/x]}", "destroy: {}", "shutdown: {}", "thread_dump: {}",
			"signal: {name: TERM}", "signal: {name: KILL}"},
		"a limit raised twice": {"raise_nofile: {to: 4096}", "raise_nofile: {to: hard}"},
		"two guards":           {"run: {command: [/bin/x]}", "run: {command: [/bin/x, again]}"},
		"the same again, with something in between":   {"destroy: {}", "run: {command: [/bin/x]}", "destroy: {}"},
		"a reset of what a shutdown waits for":        {"signal: {name: TERM}", "destroy: {}", "signal: {name: KILL}"},
		"a dump after a signal that is often handled": {"signal: {name: USR2}", "thread_dump: {}"},
		"a guard between two signals":                 {"signal: {name: TERM}", "run: {command: [/bin/x]}", "signal: {name: KILL}"},
	}
	for name, steps := range cases {
		t.Run(name, func(t *testing.T) {
			text := strings.NewReplacer("60s", "60s, fds: 80%", "- destroy: {}", "- "+strings.Join(steps, "\n      - ")).Replace(smallest)
			config, err := Parse("rules.yml", []byte(text))
			if err != nil {
				t.Fatal(err)
			}
			if got := len(config.Rules[0].Steps); got != len(steps) {
				t.Errorf("%d steps, want %d", got, len(steps))
			}
		})
	}
}
