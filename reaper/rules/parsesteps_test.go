package rules

import (
	"strings"
	"testing"

	"closewait_exporter/reaper/step"
)

func TestParseRefusesSteps(t *testing.T) {
	checkRefusals(t, map[string]refusal{
		"no steps": {"    steps:\n      - destroy: {}\n", "",
			"rules.yml:2: rule web: steps: is missing: say what to do, such as - signal: {name: TERM}; a dry run needs it too, to show what it would do"},
		"an empty list": {"steps:\n      - destroy: {}", "steps: []",
			"rules.yml:5: rule web: steps: is missing: say what to do, such as - signal: {name: TERM}; a dry run needs it too, to show what it would do"},
		"steps that are no list": {"steps:\n      - destroy: {}", "steps: destroy",
			"rules.yml:5: rule web: steps: must be a list: put it in brackets, or each entry in a line of its own behind a dash"},
		"a step without a colon": {"- destroy: {}", "- destroy",
			"rules.yml:6: rule web: step 1: has no colon: write destroy: {}"},
		"a word that is no step": {"- destroy: {}", "- reboot",
			"rules.yml:6: rule web: step 1: is not a step: write such as signal: {name: TERM}"},
		"a list that is no step": {"- destroy: {}", "- [destroy]",
			"rules.yml:6: rule web: step 1: is not a step: write such as signal: {name: TERM}"},
		"a step that is not known": {"- destroy: {}", "- reboot: {}",
			`rules.yml:6: rule web: step 1: unknown step "reboot": known are ` + strings.Join(step.Names(), ", ")},
		"an option that is not known": {"- destroy: {}", "- destroy: {force: true}",
			`rules.yml:6: rule web: step 1 (destroy): unknown key "force": there are none here: write {}`},
		"options that are not indented": {"- destroy: {}", "- signal:\n        name: WINCH",
			"rules.yml:6: rule web: step 1: must have one key, with its options indented below it or in braces, such as signal: {name: TERM}; each step begins with a dash"},
		"a signal without a name": {"- destroy: {}", "- signal:",
			"rules.yml:6: rule web: step 1 (signal): name: is missing: say which signal, such as TERM"},
		"a signal with its prefix": {"- destroy: {}", "- signal: {name: SIGWINCH}",
			`rules.yml:6: rule web: step 1 (signal): name: "SIGWINCH" is not known: write WINCH`},
		"a signal by its number": {"- destroy: {}", "- signal: {name: 15}",
			`rules.yml:6: rule web: step 1 (signal): name: "15" is not a signal: write one of ABRT, ALRM, BUS, CHLD, CONT, FPE, HUP, ILL, INT, IO, KILL, PIPE, PROF, PWR, QUIT, SEGV, STKFLT, SYS, TERM, TRAP, URG, USR1, USR2, VTALRM, WINCH, XCPU, XFSZ`},
		"a signal that stops the process": {"- destroy: {}", "- signal: {name: STOP}",
			"rules.yml:6: rule web: step 1 (signal): name: STOP stops the process, and no step would continue it: write such as TERM"},
		"a signal that is not waited for": {"- destroy: {}", "- signal: {name: WINCH, wait: 0s}",
			"rules.yml:6: rule web: step 1 (signal): wait: 0s is no time at all: write more, such as 10s"},
		"a limit of nothing": {"- destroy: {}", "- raise_nofile: {to: 0}",
			`rules.yml:6: rule web: step 1 (raise_nofile): to: "0" is no limit: write hard, or a number of descriptors`},
		"a command line instead of a list": {"- destroy: {}", "- run: {command: /bin/drain now}",
			"rules.yml:6: rule web: step 1 (run): command: must be a list: put it in brackets, or each entry in a line of its own behind a dash"},
		"no command": {"- destroy: {}", "- run: {}",
			`rules.yml:6: rule web: step 1 (run): command: is empty: write the program and its arguments as a list, such as [/usr/local/bin/drain, "{pid}"]`},
		"a program without a path": {"- destroy: {}", "- run: {command: [drain]}",
			`rules.yml:6: rule web: step 1 (run): command: "drain" is not an absolute path: write the full path; PATH is not searched, and there is no shell`},
		"a program that the process chooses": {"- destroy: {}", "- run: {command: ['/bin/{group}']}",
			`rules.yml:6: rule web: step 1 (run): command: "/bin/{group}" has a placeholder in the program: a process could choose what is run; use it in the arguments`},
		"a placeholder without quotes": {"- destroy: {}", "- run: {command: [{pid}, /bin/drain]}",
			"rules.yml:6: rule web: step 1 (run): command: must be text: put quotes around the part in braces"},
		"an argument with a NUL byte": {"- destroy: {}", `- run: {command: [/bin/drain, "a\0"]}`,
			"rules.yml:6: rule web: step 1 (run): command: a NUL byte cannot stand in an argument: remove it"},
		"a guard that gets no time": {"- destroy: {}", "- run: {command: [/bin/drain], timeout: 0s}",
			"rules.yml:6: rule web: step 1 (run): timeout: 0s is no time at all: write more, such as 10s"},
		"the same twice": {"- destroy: {}", "- destroy: {}\n      - destroy: {}",
			"rules.yml:7: rule web: step 2 (destroy): repeats the step before: remove one of the two"},
		"the same signal twice, with a longer wait": {"- destroy: {}", "- signal: {name: WINCH, wait: 1s}\n      - signal: {name: WINCH, wait: 1m}",
			"rules.yml:7: rule web: step 2 (signal): repeats the step before: remove one of the two"},
		"steps after a KILL": {"age: 60s}\n    steps:\n      - destroy: {}", "age: 60s, fds: 80%}\n    steps:\n      - signal: {name: KILL}\n      - signal: {name: TERM}\n      - thread_dump: {}",
			"rules.yml:7: rule web: step 2 (signal): is never reached: the KILL of step 1 leaves nothing: remove it, or put it before\n" +
				"rules.yml:8: rule web: step 3 (thread_dump): is never reached: the KILL of step 1 leaves nothing: remove it, or put it before"},
		"a thread dump of what is ending": {"age: 60s}\n    steps:\n      - destroy: {}", "age: 60s, fds: 80%}\n    steps:\n      - signal: {name: TERM}\n      - thread_dump: {}\n      - signal: {name: KILL}",
			"rules.yml:7: rule web: step 2 (thread_dump): is too late: step 1 has told the process to end: put it before"},
		"wrong steps are not also called the same": {"- destroy: {}", "- signal: {name: FOO}\n      - signal: {name: BAR}",
			`rules.yml:6: rule web: step 1 (signal): name: "FOO" is not a signal: write one of ABRT, ALRM, BUS, CHLD, CONT, FPE, HUP, ILL, INT, IO, KILL, PIPE, PROF, PWR, QUIT, SEGV, STKFLT, SYS, TERM, TRAP, URG, USR1, USR2, VTALRM, WINCH, XCPU, XFSZ` + "\n" +
				`rules.yml:7: rule web: step 2 (signal): name: "BAR" is not a signal: write one of ABRT, ALRM, BUS, CHLD, CONT, FPE, HUP, ILL, INT, IO, KILL, PIPE, PROF, PWR, QUIT, SEGV, STKFLT, SYS, TERM, TRAP, URG, USR1, USR2, VTALRM, WINCH, XCPU, XFSZ`},
	})
}
