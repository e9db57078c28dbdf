package rules

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// refusal is a change to the smallest rules file, and all errors that it causes.
type refusal struct{ replace, by, want string }

func checkRefusals(t *testing.T, refusals map[string]refusal) {
	t.Helper()
	for name, c := range refusals {
		t.Run(name, func(t *testing.T) {
			text := strings.Replace(smallest, c.replace, c.by, 1)
			_, err := Parse("rules.yml", []byte(text))
			if err == nil {
				t.Fatalf("valid:\n%s", text)
			}
			if diff := cmp.Diff(strings.Split(c.want, "\n"), strings.Split(err.Error(), "\n")); diff != "" {
				t.Errorf("(-want +got):\n%s\n%s", diff, text)
			}
		})
	}
}
