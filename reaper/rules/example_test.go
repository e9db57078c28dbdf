package rules_test

import (
	"errors"
	"fmt"

	"closewait_exporter/reaper/document"
	"closewait_exporter/reaper/rules"
)

func ExampleParse() {
	config, err := rules.Parse("rules.yml", []byte(`
rules:
  - name: web-leak
    match: {exe: /usr/bin/web}
    when: {age: 10m, fds: 80%}
    steps:
      - signal: {name: TERM, wait: 30s}
`))
	if err != nil {
		fmt.Println(err)
		return
	}
	rule := config.Rules[0]
	fmt.Printf("%s: at least %d sockets, fds %s, then %s\n", rule.Name, rule.When.Sockets, rule.When.FDs, rule.Steps[0])
	// Output: web-leak: at least 2 sockets, fds 80%, then signal TERM
}

func ExampleParse_problems() {
	_, err := rules.Parse("rules.yml", []byte(`
rules:
  - name: web-leak
    match: {exe: /usr/bin/web}
    when: {age: 60s, direction: out}
    steps: [destroy: {}, destroy: {}]
`))
	if problems, ok := errors.AsType[document.Problems](err); ok {
		for _, p := range problems {
			fmt.Println(p.Line, p.Text)
		}
	}
	// Output:
	// 5 rule web-leak: when.direction: "out" is not known: write any or inbound or outbound
	// 6 rule web-leak: step 2 (destroy): repeats the step before: remove one of the two
}
