package reapertest

import "fmt"

// play is what the test binary does when a test has run it again.
func play(role string) error {
	switch role {
	case feederRole:
		return feed()
	}
	return fmt.Errorf("unknown role %q; %s is for tests", role, roleVariable)
}
