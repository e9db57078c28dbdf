package reaper

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

var (
	placeholder  = regexp.MustCompile(`\{[a-z_]+\}`)
	placeholders = []string{"{pid}", "{rule}", "{group}"}
)

func readCommand(s *section) []string {
	command := list(s, "command", parseArgument)
	switch {
	case s.refused("command") || s.broken:
		return nil
	case len(command) == 0:
		s.refuse("command", `is empty: write the program and its arguments as a list, such as [/usr/local/bin/drain, "{pid}"]`)
		return nil
	case !strings.HasPrefix(command[0], "/"):
		s.refuse("command", fmt.Sprintf("%q is not an absolute path: write where the program is; nothing is looked up, and there is no shell", command[0]))
	case placeholder.MatchString(command[0]):
		s.refuse("command", fmt.Sprintf("%q has a placeholder in the program: a process could choose what is run; use it in the arguments", command[0]))
	}
	for _, argument := range command {
		for _, p := range placeholder.FindAllString(argument, -1) {
			if !slices.Contains(placeholders, p) {
				s.warn("command", fmt.Sprintf("%s stays as it is: placeholders are %s", p, strings.Join(placeholders, ", ")))
			}
		}
	}
	return command
}

func parseArgument(text string) (string, error) {
	if strings.ContainsRune(text, 0) {
		return "", errors.New("a NUL byte cannot stand in an argument: remove it")
	}
	return text, nil
}
