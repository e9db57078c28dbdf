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

func TestUserNamesAreBounded(t *testing.T) {
	h := openHost(t)
	for uid := range uint32(maxUserNames + 100) {
		h.UserName(4000000000 + uid)
	}
	if n := len(h.users.names); n > maxUserNames {
		t.Errorf("%d names are kept, want at most %d", n, maxUserNames)
	}
}
