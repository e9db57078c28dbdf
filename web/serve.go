package web

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/coreos/go-systemd/v22/activation"
	toolkit "github.com/prometheus/exporter-toolkit/web"
	"golang.org/x/sync/errgroup"
)

// The timeouts of the server. exporter-toolkit sets none.
const (
	readHeaderTimeout = 5 * time.Second // of the TLS handshake too
	readTimeout       = 10 * time.Second
	writeTimeout      = time.Minute // counts from the end of the request's header, so it includes the scan
	idleTimeout       = 30 * time.Second
)

// The memory that a connection can take. No handler reads the body of a request.
const (
	maxHeaderBytes   = 32 << 10
	maxStreams       = 8        // concurrent requests over HTTP/2
	maxBodyReadAhead = 64 << 10 // over HTTP/2; the smallest value that net/http accepts
)

// shutdownGrace is how long requests in progress may continue after the shutdown began.
const shutdownGrace = 5 * time.Second

// ServerOptions configure Serve. All are required.
type ServerOptions struct {
	Handler        http.Handler
	Flags          *toolkit.FlagConfig
	MaxConnections int    // of all listeners together, 1 or more
	Listening      func() // called once, when all listeners listen
	Logger         *slog.Logger
}

// Serve serves on all listeners of the flags until ctx ends or one of them fails. It returns when
// no request is in progress any more, or after shutdownGrace.
func Serve(ctx context.Context, o ServerOptions) error {
	logger := o.Logger
	endpoints, err := endpointsOf(o.Flags, logger)
	if err != nil {
		return err
	}
	bound := newConnections(o.MaxConnections, logger)
	var notListening atomic.Int64
	notListening.Store(int64(len(endpoints)))
	group, ctx := errgroup.WithContext(ctx)
	for _, listen := range endpoints {
		server := newServer(o.Handler, logger)
		bound.bind(server)
		server.BaseContext = func(net.Listener) context.Context { // called once the listener listens
			if notListening.Add(-1) == 0 {
				o.Listening()
			}
			return context.Background()
		}
		group.Go(func() error {
			if err := listen(server); !errors.Is(err, http.ErrServerClosed) {
				return err
			}
			return nil
		})
		group.Go(func() error {
			<-ctx.Done()
			return shutdown(server, logger)
		})
	}
	return group.Wait()
}

// endpoint listens and serves until the server is shut down.
type endpoint func(*http.Server) error

// endpointsOf returns an endpoint for each listener, so that each has its own server.
// exporter-toolkit modifies the server it is given, which would be a data race between several
// listeners.
func endpointsOf(flags *toolkit.FlagConfig, logger *slog.Logger) ([]endpoint, error) {
	if *flags.WebSystemdSocket {
		return systemdEndpoints(flags, logger)
	}
	var endpoints []endpoint
	for _, address := range *flags.WebListenAddresses {
		if address == "" { // net.Listen would use any free port on all interfaces
			return nil, errors.New("--web.listen-address is empty: give an address such as :10052, or leave the flag out")
		}
		one := *flags
		one.WebListenAddresses = &[]string{address}
		endpoints = append(endpoints, func(server *http.Server) error {
			err := toolkit.ListenAndServe(server, &one, logger)
			if failed := new(net.OpError); errors.As(err, &failed) && failed.Op == "listen" {
				return fmt.Errorf("%w: give --web.listen-address a free address, such as :10052 or 127.0.0.1:10053", err)
			}
			return err
		})
	}
	return endpoints, nil
}

func systemdEndpoints(flags *toolkit.FlagConfig, logger *slog.Logger) ([]endpoint, error) {
	listeners, err := activation.Listeners()
	if err != nil {
		return nil, fmt.Errorf("get sockets from systemd: %w", err)
	}
	var endpoints []endpoint
	for _, listener := range listeners {
		if listener == nil {
			continue // not a stream socket
		}
		endpoints = append(endpoints, func(server *http.Server) error {
			return toolkit.Serve(listener, server, flags, logger)
		})
	}
	if len(endpoints) == 0 {
		return nil, errors.New("systemd has passed no listening socket: start through a .socket unit, or without --web.systemd-socket")
	}
	return endpoints, nil
}

func newServer(handler http.Handler, logger *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams:          maxStreams,
			MaxReceiveBufferPerConnection: maxBodyReadAhead,
			MaxReceiveBufferPerStream:     maxBodyReadAhead,
		},
		ErrorLog: log.New(errorLog{logger}, "", 0),
	}
}

// errorLog writes the errors of a server to the log.
type errorLog struct{ logger *slog.Logger }

// Write logs failed handshakes at level debug, because any client can cause them, as often as it
// wants.
func (l errorLog) Write(line []byte) (int, error) {
	level, text := slog.LevelWarn, strings.TrimSpace(string(line))
	if strings.Contains(text, "TLS handshake error") {
		level = slog.LevelDebug
	}
	l.logger.Log(context.Background(), level, text)
	return len(line), nil
}

// shutdown stops listening, waits for the requests in progress, and closes the ones that take too
// long.
func shutdown(server *http.Server, logger *slog.Logger) error {
	ctx, cancel := context.WithTimeout(context.Background(), shutdownGrace)
	defer cancel()
	err := server.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		logger.Warn("Closing connections of requests that did not finish in time", "grace", shutdownGrace)
		return server.Close()
	}
	return err
}
