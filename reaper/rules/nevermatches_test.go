package rules

import (
	"strings"
	"testing"
	"time"
)

func TestExpressionsThatMeanSomethingElse(t *testing.T) {
	cases := []struct{ key, text, want string }{
		{"exe", "/usr/bin/java", ""},
		{"exe", ".*/bin/java", ""},
		{"exe", `.*java`, ""},
		{"exe", `^/usr/bin/java$`, ""},
		{"exe", `/usr/bin/java$?`, ""},
		{"exe", `(?i)/OPT/.*`, ""},
		{"exe", `[^a-z]usr/[[:alpha:]]+`, ""},
		{"exe", `java|/usr/bin/java`, ""},
		{"exe", `/opt/[\w.-]*/\d*/[ab]*x`, ""},
		{"exe", `/opt/.*\bjava\b.*`, ""},
		{"exe", "java", "write .*/java"},
		{"exe", "^java$", "write .*/java"},
		{"exe", "bin/java", "write .*/bin/java"},
		{"exe", `\w+`, `matches no program`},
		{"exe", `(java|python3)`, "write .*/(java|python3)"},
		{"exe", "/opt/app/", "matches no program: the whole path is compared, from its first slash to the name of the file"},
		{"exe", "/opt//app", "matches no program"},
		{"exe", "/opt$/app", "matches no program"},
		{"exe", ".+^/opt/app", "matches no program"},
		{"exe", "/opt/app ", "ends with a space"},
		{"exe", "/opt/app/*", `/* in "/opt/app/*" means any number of "/": write .* for any text`},
		{"exe", "/opt/web*", `b* in "/opt/web*"`},
		{"unit", `web\.service`, ""},
		{"unit", `web.*`, ""},
		{"unit", `.*`, ""},
		{"unit", `web@.+`, ""},
		{"unit", `user@1000\.service/web\.service`, ""},
		{"unit", `user@\d+.service/.*`, ""},
		{"unit", `lxc:101/web\.service`, ""},
		{"unit", `container:0123456789ab/.*`, ""},
		{"unit", "web", `write web\.service`},
		{"unit", "web@.", `write web@.\.service`},
		{"unit", "web.socket", `write web\.service`},
		{"unit", "/etc/systemd/system/web.service", `write web\.service`},
		{"unit", `system.slice/web\.service`, `write web\.service`},
		{"unit", "tomcat*.service", `t* in "tomcat*.service"`},
		{"container", "0123456789ab", ""},
		{"container", "0123456789ab.*", ""},
		{"container", "[0-9a-f]{64}", ""},
		{"container", "lxc:101/.*", ""},
		{"container", ".*", ""},
		{"container", `12345678-1234-1234-1234-123456789abc`, ""},
		{"container", "nginx", "matches no container"},
		{"container", "0123456789abcdef", "matches no container"},
		{"container", "lxc:101", "write lxc:101(/.*)?"},
		{"command", ".*catalina.*", ""},
		{"command", "/usr/bin/web --port=80", ""},
		{"command", "catalina", "write .*catalina.*"},
		{"command", "a^b", "matches nothing: check its anchors"},
		{"group", `web\.service`, ""},
		{"group", `.*`, ""},
		{"group", `pod:6ad2a9f1-.*`, ""},
		{"group", `container:0123456789ab`, ""},
		{"group", `user@\d+\.service/.*`, ""},
		{"group", `lxc:101(/.*)?`, ""},
		{"group", `container:0123456789ab/shop\.service`, ""},
		{"group", "lxc:101", "write lxc:101(/.*)?"},
		{"group", "machine:web", "write machine:web(/.*)?"},
		{"group", "web", `matches no group: the whole group is compared, such as web.service, pod:UID or container:0123456789ab, and no name that a process has given itself: write web\.service`},
		{"group", "container:0123456789abcdef", "matches no group"},
		{"group", "/system.slice/web.service", `write web\.service`},
		{"user", "tomcat", ""},
		{"user", "tomcat$x", "matches nothing"},
		{"user", "www ", "ends with a space"},
	}
	for _, c := range cases {
		e, err := parseExpression(c.text)
		if err != nil {
			t.Fatal(err)
		}
		got := expressionWarning(c.key, c.text, e)
		if (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: %s: got %q, want %q", c.key, c.text, got, c.want)
		}
	}
}

// TestOverlapEnds: an expression can have a thousand repetitions and thousands of ranges.
func TestOverlapEnds(t *testing.T) {
	for _, text := range []string{`(\pL{1,30}\PN{0,30}){30}`, `/(?:(?:.{1,10}/){1,10}){1,10}x`, strings.Repeat(`(?:a|b|\w)`, 1000)} {
		e, err := parseExpression(text)
		if err != nil {
			t.Fatal(err)
		}
		started := time.Now()
		overlap(e, nestedUnit)
		if took := time.Since(started); took > 10*time.Second {
			t.Errorf("%.20s... took %v", text, took)
		}
	}
}
