package rules

import "testing"

func TestExpressionsAreAnchored(t *testing.T) {
	cases := []struct {
		expression, text string
		want             bool
	}{
		{"java", "java", true},
		{"java", "/usr/bin/java", false},
		{"java", "java17", false},
		{".*/bin/java", "/usr/bin/java", true},
		{"a|b", "ab", false},
		{"a|b", "b", true},
		{"(?i)java", "JAVA", true},
		{".*java.*", "x\njava\ny", true},
		{"java", "java\n", false},
		{"(?m)^java$", "x\njava", false},
		{`\Qa.b\E`, "a.b", true},
	}
	for _, c := range cases {
		e, err := parseExpression(c.expression)
		if err != nil {
			t.Fatal(err)
		}
		if got := e.MatchString(c.text); got != c.want {
			t.Errorf("%q matches %q: %v, want %v", c.expression, c.text, got, c.want)
		}
		if expression(e) != c.expression {
			t.Errorf("%q is written %q", c.expression, expression(e))
		}
	}
}
