package host

import (
	"os/user"
	"strconv"
	"sync"
)

// maxUserNames bounds userNames. Containers with user namespaces can use ever new users.
const maxUserNames = 4096

// userNames caches the names of users, which rarely change.
type userNames struct {
	mu    sync.Mutex
	names map[uint32]string
}

// UserName returns the name of a user, or the id in decimal if the user has no name on this host,
// as is usual for users of containers.
func (h *Host) UserName(uid uint32) string {
	h.users.mu.Lock()
	name, known := h.users.names[uid]
	h.users.mu.Unlock()
	if known {
		return name
	}
	name = strconv.FormatUint(uint64(uid), 10)
	if u, err := user.LookupId(name); err == nil {
		name = u.Username
	}
	h.users.mu.Lock()
	defer h.users.mu.Unlock()
	if h.users.names == nil || len(h.users.names) >= maxUserNames {
		h.users.names = map[uint32]string{}
	}
	h.users.names[uid] = name
	return name
}
