package inspect

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
)

const (
	// peekSize is how many bytes are read of what a program has not read.
	peekSize = 1024
	// maxLine bounds what is shown of a line, in characters.
	maxLine = 100
	// more marks what is left out.
	more = "..."
)

var (
	// requestLine is the first line of a request of HTTP, or of a protocol like it, such as SIP.
	requestLine = regexp.MustCompile(`^([A-Z]{1,20}) (\S+)( [A-Z]{1,8}/[0-9](?:\.[0-9])?)$`)
	// shortRequestLine has no version: it is of HTTP 0.9, or longer than what was read.
	shortRequestLine = regexp.MustCompile(`^([A-Z]{1,20}) ((?:[a-z]+:/)?/\S*)()$`)
	// statusLine is the first line of an answer. Its text is left out.
	statusLine = regexp.MustCompile(`^([A-Z]{1,8}/[0-9](?:\.[0-9])? [0-9]{3})(?: .*)?$`)
	// firstWord is the name of a command in other protocols of lines: QUIT, AUTH, or a command of
	// memcached. Any other word can be the answer to a question for a password.
	firstWord = regexp.MustCompile(`^([A-Z]{1,16}|gets?|gat|set|add|replace|append|cas|delete|incr|decr|touch|stats|version|quit)( .*)?$`)
	// valueBegins is where a target has a query, parameters or a fragment, escaped or not.
	valueBegins = regexp.MustCompile(`(?i)[?#;&=]|%3[bdf]|%2[36]`)
	// secretSegment is a part of a path that is long enough to be a token or an id.
	secretSegment = regexp.MustCompile(`[^/]*[0-9][^/]*`)
)

// firstLine describes the first line of what a program has not read, without anything that can be
// secret: of a request its method and the path of its target, of an answer its status, of other
// text the command that it begins with, and else the length. The result is printable ASCII.
func firstLine(data []byte) string {
	line, _, _ := bytes.Cut(data, []byte("\n"))
	text := strings.TrimSuffix(string(line), "\r")
	if isTLS(data) {
		return "TLS, encrypted"
	}
	for _, c := range []byte(text) {
		if c < ' ' || c > '~' {
			return fmt.Sprintf("binary data, %s", atLeast(data))
		}
	}
	for _, pattern := range []*regexp.Regexp{requestLine, shortRequestLine} {
		if m := pattern.FindStringSubmatch(text); m != nil {
			return shorten(m[1]+" "+withoutSecrets(m[2])) + m[3]
		}
	}
	if m := statusLine.FindStringSubmatch(text); m != nil {
		return m[1]
	}
	if m := firstWord.FindStringSubmatch(text); m != nil && m[2] == "" {
		return m[1]
	} else if m != nil {
		return m[1] + " " + more
	}
	return fmt.Sprintf("text, %s", atLeast(data))
}

// isTLS reports whether data begins with a record of TLS (RFC 8446, section 5.1).
func isTLS(data []byte) bool {
	const changeCipherSpec, applicationData, major = 20, 23, 3
	return len(data) > 2 && data[0] >= changeCipherSpec && data[0] <= applicationData && data[1] == major
}

// atLeast is the number of bytes in data, of which there can be more.
func atLeast(data []byte) string {
	if len(data) < peekSize {
		return fmt.Sprintf("%d bytes", len(data))
	}
	return fmt.Sprintf("%d bytes or more", peekSize)
}

// withoutSecrets leaves out of the target of a request what can be secret: user and password,
// query, parameters, and parts of the path that look like tokens.
func withoutSecrets(target string) string {
	prefix, hasUser := "", strings.HasPrefix(target, "//")
	if scheme, rest, absolute := strings.Cut(target, "://"); absolute && !strings.HasPrefix(target, "/") {
		prefix, target, hasUser = scheme+"://", rest, true
	} else if !strings.HasPrefix(target, "/") && target != "*" {
		return more
	}
	if at := strings.LastIndexByte(target, '@'); hasUser && at >= 0 {
		prefix, target = prefix+more, target[at:]
	}
	end := ""
	if at := valueBegins.FindStringIndex(target); at != nil {
		target, end = target[:at[0]], more
	}
	const longest = 15 // a number, a date, a name with a version
	target = secretSegment.ReplaceAllStringFunc(target, func(segment string) string {
		if len(segment) > longest {
			return more
		}
		return segment
	})
	return prefix + target + end
}

func shorten(text string) string {
	if len(text) > maxLine {
		return text[:maxLine-len(more)] + more
	}
	return text
}
