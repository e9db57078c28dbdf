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

// answer carries out a command and tells the state after it.
func (s *server) answer(line string) error {
	err := s.obey(line)
	st := s.state()
	if err != nil {
		st.Error = err.Error()
	}
	return tell(st)
}

func (s *server) obey(line string) error {
	word, argument, counted := strings.Cut(line, " ")
	do := map[string]func(int) error{
		"leak": s.leak, "close": s.close, "accept": s.accept, "reset": s.reset, "bury": s.bury,
	}[word]
	switch {
	case word == "read" && !counted:
		return s.read()
	case word == "state" && !counted:
		return nil
	case do == nil:
		return fmt.Errorf("unknown command %q: give leak N, close N, accept N, reset N, bury N, read or state", line)
	}
	n, err := strconv.Atoi(argument)
	if err != nil || n < 0 {
		return fmt.Errorf("%s: give a number of sockets, such as %q", line, word+" 3")
	}
	return do(n)
}
