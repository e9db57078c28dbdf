package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
)

// getAndKeep is a Go program that forgets Body.Close(): it requests a page n times, writes a line
// when it has all answers, and keeps them until stdin is closed.
//
//nolint:bodyclose // it leaks on purpose
func getAndKeep(url string, n int) error {
	var kept []*http.Response
	for range n {
		answer, err := http.Get(url)
		if err != nil {
			return err
		}
		kept = append(kept, answer)
	}
	fmt.Fprintln(os.Stdout, 0) // as programs of other languages do: the port that it listens on, or 0
	_, err := io.Copy(io.Discard, os.Stdin)
	for _, answer := range kept {
		_ = answer.Body.Close()
	}
	return err
}
