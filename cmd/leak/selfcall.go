package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
)

// answerThroughItself is a Go program with a semaphore: its server works on as many requests at a
// time, and for /outer it requests /inner from itself, which needs a place of its own. It writes
// the port that it listens on, and ends with stdin.
func answerThroughItself(places int) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	semaphore := make(chan struct{}, places)
	mux := http.NewServeMux()
	mux.HandleFunc("/inner", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "hello") })
	mux.HandleFunc("/outer", func(w http.ResponseWriter, _ *http.Request) {
		answer, err := http.Get("http://" + listener.Addr().String() + "/inner")
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer answer.Body.Close()
		_, _ = io.Copy(w, answer.Body)
	})
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		semaphore <- struct{}{}
		defer func() { <-semaphore }()
		mux.ServeHTTP(w, r)
	})}
	go func() { _ = server.Serve(listener) }()
	fmt.Fprintln(os.Stdout, listener.Addr().(*net.TCPAddr).Port)
	_, err = io.Copy(io.Discard, os.Stdin)
	_ = server.Close()
	return err
}
