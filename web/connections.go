package web

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"
)

// clientShare is the part of all connections that one client may have: a quarter.
const clientShare = 4

// surplusLogInterval is the minimum time between two log lines about surplus connections. Clients
// must not be able to fill the log.
const surplusLogInterval = time.Minute

// connections bounds the open connections of all listeners together. Accept never waits for a
// place, because idle clients could then lock Prometheus out. Instead the connection that has been
// idle longest is closed as soon as there are too many.
type connections struct {
	limit, perClient int
	logger           *slog.Logger

	mu      sync.Mutex
	open    map[net.Conn]*connection
	clients map[netip.Prefix]int // number of open connections
	changes uint64               // counts the changes that connection.since refers to
	logged  time.Time            // when a surplus connection was logged last
}

// connection is an open connection. The mutex of connections protects its fields.
type connection struct {
	conn     net.Conn
	client   netip.Prefix
	requests int    // in progress
	since    uint64 // the change with which it became idle, or busy
}

// newConnections returns a bound of limit connections, at least 1.
func newConnections(limit int, logger *slog.Logger) *connections {
	return &connections{
		limit: limit, perClient: max(1, limit/clientShare), logger: logger,
		open: map[net.Conn]*connection{}, clients: map[netip.Prefix]int{},
	}
}

// bind applies the bound to a server. The server calls ConnContext before it accepts the next
// connection, so at most one connection per listener is open above the limit, for a moment.
func (c *connections) bind(server *http.Server) {
	server.Handler = c.countRequests(server.Handler)
	server.ConnContext = func(ctx context.Context, conn net.Conn) context.Context {
		return context.WithValue(ctx, connectionKey{}, c.add(conn))
	}
	server.ConnState = func(conn net.Conn, state http.ConnState) {
		if state == http.StateClosed {
			c.remove(conn)
		}
	}
}

// connectionKey is the key of the connection in the context of a request.
type connectionKey struct{}

// countRequests makes a connection busy while it has a request in progress. A client that has not
// sent a whole header yet, or has not completed the TLS handshake, is idle.
func (c *connections) countRequests(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if conn, ok := r.Context().Value(connectionKey{}).(*connection); ok {
			c.request(conn, 1)
			defer c.request(conn, -1)
		}
		next.ServeHTTP(w, r)
	})
}

// request adds to the number of requests in progress. HTTP/2 has several per connection.
func (c *connections) request(conn *connection, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	before := conn.requests
	conn.requests += n
	if before == 0 || conn.requests == 0 {
		conn.since = c.change()
	}
}

func (c *connections) change() uint64 { c.changes++; return c.changes }

// add adds an open connection, and closes another one if there are too many now.
func (c *connections) add(conn net.Conn) *connection {
	c.mu.Lock()
	added := &connection{conn: conn, client: clientOf(conn.RemoteAddr()), since: c.change()}
	c.open[conn] = added
	c.clients[added.client]++
	surplus := c.surplus(added)
	if surplus != nil {
		c.log(surplus)
		c.forget(surplus)
	}
	c.mu.Unlock()
	if surplus != nil {
		_ = withoutTLS(surplus.conn).Close() // returns when the descriptor is free
	}
	return added
}

// remove forgets a connection that was closed.
func (c *connections) remove(conn net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if closed := c.open[conn]; closed != nil {
		c.forget(closed)
	}
}

func (c *connections) forget(conn *connection) {
	delete(c.open, conn.conn)
	if c.clients[conn.client]--; c.clients[conn.client] == 0 {
		delete(c.clients, conn.client)
	}
}

// surplus returns the connection to close after one was added, or nil. If a client has too many, it
// is one of that client's.
func (c *connections) surplus(added *connection) *connection {
	sameClient := c.clients[added.client] > c.perClient
	if !sameClient && len(c.open) <= c.limit {
		return nil
	}
	var longest *connection
	for _, other := range c.open {
		if other == added || sameClient && other.client != added.client {
			continue
		}
		if longest == nil || other.closesBefore(longest) {
			longest = other
		}
	}
	return longest
}

// closesBefore orders idle connections before busy ones, then by the time since when they are so.
func (c *connection) closesBefore(other *connection) bool {
	if busy := c.requests > 0; busy != (other.requests > 0) {
		return !busy
	}
	return c.since < other.since
}

func (c *connections) log(surplus *connection) {
	if now := time.Now(); now.Sub(c.logged) >= surplusLogInterval {
		c.logged = now
		c.logger.Warn("Too many connections, closing the one that has been idle longest (--web.max-connections)",
			"connections", len(c.open), "client", surplus.client, "connections_of_client", c.clients[surplus.client])
	}
}

// clientOf returns the network that counts as one client: an IPv4 address, or an IPv6 /64, in which
// a host can choose its address. Clients without an IP address count as one.
func clientOf(address net.Addr) netip.Prefix {
	tcp, ok := address.(*net.TCPAddr)
	if !ok {
		return netip.Prefix{}
	}
	const networkBits = 64
	ip := tcp.AddrPort().Addr().Unmap().WithZone("")
	client, _ := ip.Prefix(min(ip.BitLen(), networkBits)) // invalid only if ip is
	return client
}

// withoutTLS returns the connection below TLS. Closing that one does not wait for the peer.
func withoutTLS(conn net.Conn) net.Conn {
	if encrypted, ok := conn.(interface{ NetConn() net.Conn }); ok {
		return encrypted.NetConn()
	}
	return conn
}
