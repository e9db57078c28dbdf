package rules

import "testing"

func TestParseRefusesValues(t *testing.T) {
	checkRefusals(t, map[string]refusal{
		"a list where a value belongs": {"age: 60s", "age: [60s]",
			"rules.yml:4: rule web: when.age: must be a single value"},
		"a value with a tag": {"age: 60s", "age: !!str 60s",
			"rules.yml:4: rule web: when.age: has a YAML tag: remove the exclamation mark and the word behind it"},
		"no sockets": {"age: 60s", "age: 60s, sockets: 0",
			"rules.yml:4: rule web: when.sockets: 0 sockets are no evidence: write 1 or more"},
		"a number of sockets in words": {"age: 60s", "age: 60s, sockets: two",
			`rules.yml:4: rule web: when.sockets: "two" is not a count: write a whole number, such as 2`},
		"a threshold of no descriptors": {"age: 60s", "age: 60s, fds: 0",
			"rules.yml:4: rule web: when.fds: 0 is always reached: write such as 900 or 80%, or remove the key"},
		"a threshold of 0%": {"age: 60s", "age: 60s, fds: 0%",
			"rules.yml:4: rule web: when.fds: 0% is out of range: write more than 0% and at most 100%"},
		"a threshold above 100%": {"age: 60s", "age: 60s, fds: 101%",
			"rules.yml:4: rule web: when.fds: 101% is out of range: write more than 0% and at most 100%"},
		"a time that is left, without a threshold": {"age: 60s", "age: 60s, time_left: 30m",
			"rules.yml:4: rule web: when.time_left: needs fds too, such as fds: 80%: any burst of connections seems to use up the descriptors soon"},
		"no time that is left": {"age: 60s", "age: 60s, fds: 80%, time_left: 0s",
			"rules.yml:4: rule web: when.time_left: 0s is no time at all: write more, such as 10s"},
		"a window without an end": {"name: web", "name: web\n    window: {from: '02:00'}",
			"rules.yml:3: rule web: window.to: is missing: write a time of day such as 05:00"},
		"a window without anything": {"name: web", "name: web\n    window: {}",
			"rules.yml:3: rule web: window.from: is missing: write a time of day such as 02:00\n" +
				"rules.yml:3: rule web: window.to: is missing: write a time of day such as 05:00"},
		"a window that is no mapping": {"name: web", "name: web\n    window: 02:00-05:00",
			"rules.yml:3: rule web: window: must have keys below it, indented further: from, to, zone"},
		"a window of no time": {"name: web", "name: web\n    window: {from: '02:00', to: '02:00'}",
			"rules.yml:3: rule web: window: begins and ends at the same time: choose another end, or remove the window to allow every time"},
		"a window with times that are none": {"name: web", "name: web\n    window: {from: 2am, to: '24:00', zone: Mars/Olympus}",
			`rules.yml:3: rule web: window.from: "2am" is not a time of day: write one from 00:00 to 23:59, such as 02:00` + "\n" +
				`rules.yml:3: rule web: window.to: "24:00" is not a time of day: write one from 00:00 to 23:59, such as 02:00` + "\n" +
				`rules.yml:3: rule web: window.zone: "Mars/Olympus" is not a known time zone: write Local, UTC or a name of the IANA database such as Europe/Berlin`},
		"a zone that is empty, and one digit of hours": {"name: web", "name: web\n    window: {from: '2:00', to: '05:00', zone: ''}",
			`rules.yml:3: rule web: window.from: "2:00" is not a time of day: write one from 00:00 to 23:59, such as 02:00` + "\n" +
				"rules.yml:3: rule web: window.zone: is empty: write Local, UTC or a name such as Europe/Berlin"},
		"a threshold that forgets the percent sign": {"age: 60s", "age: 60s, fds: 0.8",
			`rules.yml:4: rule web: when.fds: "0.8" is neither a number of descriptors nor a percentage of the limit: write such as 900 or 80%`},
		"a share of nothing": {"age: 60s", "age: 60s, peer_share: 0%",
			"rules.yml:4: rule web: when.peer_share: 0% is out of range: write more than 0% and at most 100%"},
		"a share of more than all": {"age: 60s", "age: 60s, peer_share: 100.1%",
			"rules.yml:4: rule web: when.peer_share: 100.1% is out of range: write more than 0% and at most 100%"},
		"a share that forgets the percent sign": {"age: 60s", "age: 60s, peer_share: 0.25",
			`rules.yml:4: rule web: when.peer_share: "0.25" is not a percentage: write a number and a percent sign, such as 25%`},
		"a direction that is not known": {"age: 60s", "age: 60s, direction: in",
			`rules.yml:4: rule web: when.direction: "in" is not known: write any or inbound or outbound`},
		"a rule that must never rest": {"name: web", "name: web\n    cooldown: 0s",
			"rules.yml:3: rule web: cooldown: 0s is no time at all: write more, such as 10s"},
		"a state that does not exist": {"age: 60s", "age: 60s, states: [close_wait, established]",
			`rules.yml:4: rule web: when.states: "established" is not known: write close_wait or closed or fin_wait2 or unconnected`},
		"a state that is no list": {"age: 60s", "age: 60s, states: closed",
			`rules.yml:4: rule web: when.states: must be a list: put it in brackets, or each entry in a line of its own behind a dash`},
		"the old name of a key": {"age: 60s", "age: 60s, include_defunct: true",
			`rules.yml:4: rule web: when.include_defunct: was renamed: write states: [close_wait, closed], the default of a rule with fds`},
		"a truth that is not true": {"name: web", "name: web\n    accept_remote_trigger: yes",
			`rules.yml:3: rule web: accept_remote_trigger: "yes" is neither true nor false: write one of the two`},
		"limits of nothing": {"rules:", "limits: {actions: 0, per: 0s}\nrules:",
			"rules.yml:1: limits.actions: 0 would forbid every action: write mode: dry_run in the rules, or run without --reaper.enforce\n" +
				"rules.yml:1: limits.per: 0s is no time at all: write more, such as 10s"},
		"no pause between two rounds": {"rules:", "interval: 1ms\nrules:",
			"rules.yml:1: interval: 1ms would scan the host without a pause: write 100ms or more, such as 5s"},
		"peers that are none": {"rules:", "trusted_peers: [10.0.0.1/8, lb, '1.2.3.4:5']\nrules:",
			`rules.yml:1: trusted_peers: "10.0.0.1/8" is not the start of a network: write 10.0.0.0/8, or 10.0.0.1 for the one address` + "\n" +
				`rules.yml:1: trusted_peers: "lb" is not an address: write one such as 10.0.0.1, 10.0.0.1:443, 10.1.0.0/16, [fd00::1]:443 or [fd00::]/8 (in quotes); names are not resolved` + "\n" +
				`rules.yml:1: trusted_peers: "1.2.3.4:5" has a port, and this is about addresses: remove it`},
		"protection of nothing": {"rules:", "protect: {exe: ['', '('], unit: x}\nrules:",
			"rules.yml:1: protect.exe: an empty expression matches nothing: write one, or remove it\n" +
				"rules.yml:1: protect.exe: \"(\" is not a regular expression: missing closing ): `(`: see https://github.com/google/re2/wiki/Syntax\n" +
				"rules.yml:1: protect.unit: must be a list: put it in brackets, or each entry in a line of its own behind a dash"},
		"no rules": {smallest, "rules: []\n",
			"rules.yml:1: rules: there is no rule: write at least one, or leave out --reaper.config"},
		"nothing below rules": {smallest, "interval: 5s\nrules:\n",
			"rules.yml:2: rules: there is no rule: write at least one, or leave out --reaper.config"},
		"rules that are no list": {"rules:", "rules: web\nx:",
			"rules.yml:1: rules: must be a list: put it in brackets, or each entry in a line of its own behind a dash\n" +
				`rules.yml:2: unknown key "x": known here are trusted_peers, protect, limits, interval, fleet, rules`},
		"remote ends that are none": {"- destroy: {}", "- destroy: {}\n    ignore:\n      remote:\n        - example.com\n        - '::1:'\n        - 10.0.0.0/33\n        - 10.0.0.1/8\n        - 1.1.1.1:0\n        - fe80::1%eth0\n        - '[::1'\n        - 10.0.0.0/8:443",
			`rules.yml:9: rule web: ignore.remote: "example.com" is not an address: write one such as 10.0.0.1, 10.0.0.1:443, 10.1.0.0/16, [fd00::1]:443 or [fd00::]/8 (in quotes); names are not resolved` + "\n" +
				`rules.yml:10: rule web: ignore.remote: "::1:" is not an address: write one such as 10.0.0.1, 10.0.0.1:443, 10.1.0.0/16, [fd00::1]:443 or [fd00::]/8 (in quotes); names are not resolved` + "\n" +
				`rules.yml:11: rule web: ignore.remote: "10.0.0.0/33" is not a network: write an address and its bits, such as 10.1.0.0/16 or [fd00::]/8; all ports are meant` + "\n" +
				`rules.yml:12: rule web: ignore.remote: "10.0.0.1/8" is not the start of a network: write 10.0.0.0/8, or 10.0.0.1 for the one address` + "\n" +
				`rules.yml:13: rule web: ignore.remote: "1.1.1.1:0": no connection has port 0: write a port from 1 to 65535, or none for all` + "\n" +
				`rules.yml:14: rule web: ignore.remote: "fe80::1%eth0": the zone has no meaning here: remove %eth0` + "\n" +
				`rules.yml:15: rule web: ignore.remote: "[::1" is not an address: write one such as 10.0.0.1, 10.0.0.1:443, 10.1.0.0/16, [fd00::1]:443 or [fd00::]/8 (in quotes); names are not resolved` + "\n" +
				`rules.yml:16: rule web: ignore.remote: "10.0.0.0/8:443" is not a network: write an address and its bits, such as 10.1.0.0/16 or [fd00::]/8; all ports are meant`},
		"ports that are none": {"- destroy: {}", "- destroy: {}\n    ignore: {local_port: [0, ssh, 65536, 22]}",
			`rules.yml:7: rule web: ignore.local_port: "0" is not a port: write a number from 1 to 65535` + "\n" +
				`rules.yml:7: rule web: ignore.local_port: "ssh" is not a port: write a number from 1 to 65535` + "\n" +
				`rules.yml:7: rule web: ignore.local_port: "65536" is not a port: write a number from 1 to 65535`},
	})
}
