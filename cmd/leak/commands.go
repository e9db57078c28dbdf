package main

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// commands reads lines from stdin; the channel is closed at the end of file.
func commands() <-chan string {
	lines := make(chan string)
	go func() {
		defer close(lines)
		for in := bufio.NewScanner(os.Stdin); in.Scan(); {
			lines <- in.Text()
		}
	}()
	return lines
}

// answer runs the commands of a line and writes the state after them.
func (s *server) answer(line string) error {
	var err error
	for command := range strings.SplitSeq(line, ";") {
		if err = s.run(strings.TrimSpace(command)); err != nil {
			break
		}
	}
	st := s.state()
	if err != nil {
		st.Error = err.Error()
	}
	return writeState(st)
}

func (s *server) run(command string) error {
	word, argument, counted := strings.Cut(command, " ")
	do := map[string]func(int) error{
		"leak": s.leak, "close": s.close, "accept": s.accept, "reset": s.reset, "discard": s.discard,
	}[word]
	switch {
	case word == "read" && !counted:
		return s.read()
	case word == "unlisten" && !counted:
		return s.listeners.close()
	case word == "state" && !counted:
		return nil
	case word == "exec" && counted:
		return become(s, argument)
	case do == nil:
		return fmt.Errorf("unknown command %q: give leak N, close N, accept N, reset N, discard N, read, unlisten, exec PATH or state", command)
	}
	n, err := strconv.Atoi(argument)
	if err != nil || n < 0 {
		return fmt.Errorf("%s: give a number of sockets, such as %q", command, word+" 3")
	}
	return do(n)
}
