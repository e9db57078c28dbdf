package procfs

import "bytes"

// unitName returns the name of the service whose group has the given name, without what changes at
// every start.
//
//   - systemd writes "_" before names that files of the cgroup file system could have: the group of
//     io.service is _io.service (cg_escape in src/basic/cgroup-util.c).
//   - A service that is started for each connection (Accept=yes) has the addresses of both ends as
//     its instance: ssh@3-10.0.0.1:22-10.0.0.2:5555.service is ssh@.service. So no address of a
//     peer becomes a label.
//   - systemd-run makes a new name each time: run-r<hex>.service is run-r.service.
func unitName(name []byte) string {
	name = bytes.TrimPrefix(name, []byte{'_'})
	stem := bytes.TrimSuffix(name, []byte(".service"))
	if prefix, instance, template := bytes.Cut(stem, []byte{'@'}); template {
		if instance = unescapeDashes(instance); isConnection(instance) || isRandom(instance) {
			return string(prefix) + "@.service"
		}
		return string(name)
	}
	if number, found := bytes.CutPrefix(stem, []byte("run-")); found {
		if kind, ok := runKind(number); ok {
			return "run-" + kind + ".service"
		}
	}
	for _, at := range []int{bytes.LastIndexByte(stem, '-'), len(stem) - uuidLength - 1} {
		if at > 0 && stem[at] == '-' && isRandom(stem[at+1:]) {
			return string(stem[:at+1]) + ".service"
		}
	}
	return string(name)
}

// runKind returns the letter in the name that systemd-run has made: r<hex>, u<number>, p<number>
// and -i<number>, or a number alone in old versions.
func runKind(number []byte) (kind string, ok bool) {
	if len(number) == 0 {
		return "", false
	}
	switch rest := number[1:]; number[0] {
	case 'r':
		return "r", len(rest) > 0 && isHex(rest, len(rest))
	case 'u':
		return "u", isNumber(rest)
	case 'p':
		pid, inode, _ := bytes.Cut(rest, []byte("-i"))
		return "p", isNumber(pid) && isNumber(inode)
	}
	return "", isNumber(number)
}

// isConnection reports whether systemd has made the instance from a connection: a counter, and two
// addresses with ports, or the pid and the uid of the peer, or "unknown" (instance_from_socket in
// src/core/socket.c).
func isConnection(instance []byte) bool {
	counter, ends, found := bytes.Cut(instance, []byte{'-'})
	if !found || !isNumber(counter) {
		return false
	}
	for _, c := range ends {
		if !isDigit(c) && (c < 'a' || c > 'f') && !bytes.ContainsRune([]byte(".:-_"), rune(c)) {
			return string(ends) == "unknown"
		}
	}
	return bytes.ContainsAny(ends, ":-")
}

const uuidLength = 36

// isRandom reports whether a part of a name is a random number: a UUID, or 16 or more hex digits.
func isRandom(part []byte) bool {
	const fewest = 16
	return isUUID(part, 12) || len(part) >= fewest && isHex(part, len(part))
}

// unescapeDashes replaces the dashes that systemd has escaped because they would mean a "/".
func unescapeDashes(name []byte) []byte { return bytes.ReplaceAll(name, []byte(`\x2d`), []byte{'-'}) }

func isNumber(s []byte) bool {
	for _, c := range s {
		if !isDigit(c) {
			return false
		}
	}
	return len(s) > 0
}
