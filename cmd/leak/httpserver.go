package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"time"
)

// hangingServer is a Go program that leaks the connections of clients that do not wait: a net/http
// server whose handlers hang.
type hangingServer struct {
	released chan struct{} // closed when the handlers may return

	mu     sync.Mutex
	closed chan struct{} // closed when the last connection is
	open   map[net.Conn]bool
}

// serveAndHang writes the port that it listens on, as programs of other languages do, and answers
// each line on stdin: count with the number of connections, close with the number of connections
// that it has closed, and the times before and after, in nanoseconds since 1970. It ends with
// stdin.
func serveAndHang(keepalive bool) error {
	var config net.ListenConfig
	if !keepalive {
		config.KeepAlive = -1
	}
	listener, err := config.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s := &hangingServer{released: make(chan struct{}), closed: make(chan struct{}), open: map[net.Conn]bool{}}
	server := &http.Server{Handler: s, ConnState: s.track}
	go func() { _ = server.Serve(listener) }()
	fmt.Fprintln(os.Stdout, listener.Addr().(*net.TCPAddr).Port)
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		n := s.count()
		if in.Text() != "close" {
			fmt.Fprintln(os.Stdout, n)
			continue
		}
		from := time.Now()
		close(s.released)
		if n > 0 {
			<-s.closed
		}
		fmt.Fprintln(os.Stdout, n, from.UnixNano(), time.Now().UnixNano())
	}
	return server.Close()
}

// ServeHTTP answers all but the last byte, and hangs.
func (s *hangingServer) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	const answer = "hello\n"
	w.Header().Set("Content-Length", fmt.Sprint(len(answer)+1))
	_, _ = io.WriteString(w, answer)
	_ = http.NewResponseController(w).Flush()
	<-s.released
}

func (s *hangingServer) track(c net.Conn, state http.ConnState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch state {
	case http.StateNew:
		s.open[c] = true
	case http.StateClosed:
		delete(s.open, c)
		if len(s.open) == 0 {
			close(s.closed)
		}
	}
}

func (s *hangingServer) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.open)
}
