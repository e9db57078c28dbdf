package host

import (
	"sync"
	"testing"
)

func TestUserNamesAreSafeForConcurrentUse(t *testing.T) {
	h := openHost(t)
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			if name := h.UserName(4000000000); name != "4000000000" {
				t.Errorf("a user without a name is called %q", name)
			}
			if name := h.UserName(0); name != "root" {
				t.Errorf("user 0 is called %q", name)
			}
		})
	}
	group.Wait()
}
