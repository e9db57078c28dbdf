package host

import "bytes"

// ParseNumber parses a number that consists of decimal digits only.
func ParseNumber(digits []byte) (n uint64, ok bool) {
	if len(digits) == 0 || len(digits) > 19 {
		return 0, false
	}
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + uint64(c-'0')
	}
	return n, true
}

// ParseLink parses the inode in the target of a link such as "socket:[123]" or "net:[4026531840]".
func ParseLink(target []byte, kind string) (inode uint64, ok bool) {
	rest, ok := bytes.CutPrefix(target, []byte(kind+":["))
	if !ok || !bytes.HasSuffix(rest, []byte("]")) {
		return 0, false
	}
	return ParseNumber(rest[:len(rest)-1])
}
