package procfs

import "bytes"

// containerID returns the id of the container to which a group belongs, if any, and the runtime if
// the name contains it. Runtimes write
//
//	<id>                    Docker, containerd, ECS, with the cgroupfs driver
//	<runtime>-<id>.scope    docker, cri-containerd, crio, libpod, nerdctl, with the systemd driver
//	<runtime>-<id>          crio, libpod, libpod-payload
//	<slice>:<runtime>:<id>  a name for the systemd driver, given to the cgroupfs driver
//
// The id has 64 hex digits, with these exceptions: 32 hex digits, a dash and up to 10 digits
// (Fargate), 25 letters and digits (a build step of BuildKit), a UUID, whole or with the last part
// cut to 4 digits (garden).
func containerID(name, parent []byte) (id, runtime []byte) {
	name = bytes.TrimSuffix(name, []byte(".scope"))
	at := bytes.LastIndexAny(name, "-:")
	runtime, id = name[:max(at, 0)], name[at+1:]
	switch {
	case bytes.HasSuffix(runtime, []byte("conmon")): // watches the container from outside
		return nil, nil
	case isHex(id, 64), isBuildStep(id, runtime, parent):
		return id, runtime
	case isFargate(name), isUUID(name, 4), isUUID(name, 12) && bytes.HasPrefix(parent, []byte("garden")):
		return name, nil
	}
	return nil, nil
}

// isBuildStep reports whether an id is the id of a build step of BuildKit. Such an id could be an
// ordinary word, so it only counts where BuildKit puts it.
func isBuildStep(id, runtime, parent []byte) bool {
	place := runtime
	if len(runtime) == 0 {
		place = parent
	}
	if len(id) != 25 || !bytes.HasSuffix(place, []byte("docker")) && string(place) != "buildkit" {
		return false
	}
	for _, c := range id {
		if (c < 'a' || c > 'z') && !isDigit(c) {
			return false
		}
	}
	return true
}

// isFargate reports whether a name is the id of a container on Fargate: the id of its task and a
// number.
func isFargate(name []byte) bool {
	task, number, _ := bytes.Cut(name, []byte{'-'})
	for _, c := range number {
		if !isDigit(c) {
			return false
		}
	}
	return isHex(task, 32) && len(number) > 0 && len(number) <= 10
}

// isUUID reports whether s is a UUID whose last group has the given length, 12 in a whole UUID.
func isUUID(s []byte, last int) bool {
	groups := 0
	for group := range bytes.SplitSeq(s, []byte{'-'}) {
		size := 4
		switch groups {
		case 0:
			size = 8
		case 4:
			size = last
		}
		if !isHex(group, size) {
			return false
		}
		groups++
	}
	return groups == 5
}

// isHex reports whether s consists of length hex digits, in lower case as runtimes write them.
func isHex(s []byte, length int) bool {
	for _, c := range s {
		if !isDigit(c) && (c < 'a' || c > 'f') {
			return false
		}
	}
	return len(s) == length
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
