package host

import "testing"

func TestNumbersAreDecimalDigitsAndNothingElse(t *testing.T) {
	for s, want := range map[string]uint64{"0": 0, "7": 7, "4026531840": 4026531840, "007": 7, "9999999999999999999": 9999999999999999999} {
		if n, ok := ParseNumber([]byte(s)); !ok || n != want {
			t.Errorf("%q is %d, %v", s, n, ok)
		}
	}
	for _, s := range []string{"", "-1", "+1", " 1", "1 ", "0x1", "1a", "١", "10000000000000000000", "18446744073709551616"} {
		if n, ok := ParseNumber([]byte(s)); ok {
			t.Errorf("%q is %d", s, n)
		}
	}
}

func TestOnlyLinksOfTheRightKindAreNumbers(t *testing.T) {
	for s, want := range map[string]uint64{"socket:[1]": 1, "socket:[4294967295]": 4294967295} {
		if n, ok := ParseLink([]byte(s), "socket"); !ok || n != want {
			t.Errorf("%q is %d, %v", s, n, ok)
		}
	}
	for _, s := range []string{"", "socket:", "socket:[", "socket:[]", "socket:[1", "socket:1]", "socket:[-1]", "socket:[1] (deleted)",
		"pipe:[1]", "/socket:[1]", "socket:[[1]]", "xsocket:[1]", "net:[1]", "anon_inode:[eventpoll]"} {
		if n, ok := ParseLink([]byte(s), "socket"); ok {
			t.Errorf("%q is %d", s, n)
		}
	}
}
