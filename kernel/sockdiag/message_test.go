package sockdiag

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"syscall"
	"testing"

	"closewait_exporter/kernel/host"
)

func message(t testing.TB, h header, payload []byte) []byte {
	t.Helper()
	data := encode(t, uint32(headerSize+len(payload)), h, payload)
	return append(data, make([]byte, align(len(data))-len(data))...)
}

func TestEachMessageOfADatagramIsPassedOn(t *testing.T) {
	a, b := header{Type: 20, Flags: 2, Seq: 7, PID: 99}, header{Type: syscall.NLMSG_DONE, Flags: 0x12, Seq: 8, PID: 100}
	padded, aligned, empty := message(t, a, []byte("hello")), message(t, b, []byte("four")), message(t, b, nil)
	for name, test := range map[string]struct {
		data    []byte
		headers []header
		payload string
		err     error
	}{
		"nothing":                      {nil, nil, "", nil},
		"one":                          {aligned, []header{b}, "four|", nil},
		"a padded one before others":   {slices.Concat(padded, aligned, empty), []header{a, b, b}, "hello|four||", nil},
		"the last without its padding": {slices.Concat(aligned, padded[:21]), []header{b, a}, "four|hello|", nil},
		"header cut":                   {slices.Concat(aligned, padded[:15]), []header{b}, "four|", host.ErrMalformed},
		"payload cut":                  {slices.Concat(aligned, padded[:20]), []header{b}, "four|", host.ErrMalformed},
		"length 0":                     {slices.Concat(aligned, make([]byte, 16)), []header{b}, "four|", host.ErrMalformed},
		"length 15":                    {encode(t, uint32(15), a), nil, "", host.ErrMalformed},
		"length beyond 31 bits":        {encode(t, uint32(0xfffffff0), a), nil, "", host.ErrMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			var headers []header
			var payload []byte
			err := eachMessage(test.data, func(h header, p []byte) error {
				headers, payload = append(headers, h), append(append(payload, p...), '|')
				return nil
			})
			if !errors.Is(err, test.err) || !slices.Equal(headers, test.headers) || string(payload) != test.payload {
				t.Errorf("got %v %q %v, want %v %q %v", headers, payload, err, test.headers, test.payload, test.err)
			}
		})
	}
}

func TestEachMessageStopsAtTheFirstError(t *testing.T) {
	calls, stop := 0, errors.New("stop")
	one := message(t, header{}, nil)
	err := eachMessage(slices.Concat(one, one), func(header, []byte) error { calls++; return stop })
	if !errors.Is(err, stop) || calls != 1 {
		t.Errorf("got %v after %d calls, want the error of the first", err, calls)
	}
}

func TestEachMessageDoesNotAllocate(t *testing.T) {
	data, size := bytes.Repeat(message(t, header{Type: 20}, []byte("hello")), 10), 0
	if n := testing.AllocsPerRun(100, func() {
		_ = eachMessage(data, func(_ header, p []byte) error { size += len(p); return nil })
	}); n != 0 {
		t.Errorf("%v allocations per datagram", n)
	}
}

// FuzzEachMessage checks that the messages together are the datagram: none is skipped or passed
// twice, and the rest after an error is not a message.
func FuzzEachMessage(f *testing.F) {
	one := message(f, header{Type: 20, Flags: 2, Seq: 1, PID: 2}, []byte("hello"))
	f.Add([]byte{})
	f.Add(one)
	f.Add(slices.Concat(one, one[:21]))
	f.Add(slices.Concat(one, one[:20]))
	f.Add(slices.Concat(one, make([]byte, 16)))
	f.Fuzz(func(t *testing.T, data []byte) {
		var again []byte
		err := eachMessage(data, func(h header, p []byte) error {
			again = append(again, message(t, h, p)...)
			copyPadding(again, data)
			return nil
		})
		rest := data[min(len(again), len(data)):]
		switch {
		case !bytes.HasPrefix(again, data[:len(data)-len(rest)]) || len(again) > len(data)+3:
			t.Errorf("the messages are %x of %x", again, data)
		case err == nil && len(rest) > 0:
			t.Errorf("%x was left over without an error", rest)
		case err != nil && (!errors.Is(err, host.ErrMalformed) || len(rest) == 0):
			t.Errorf("%v with %x left over", err, rest)
		case err != nil && len(rest) >= 16 && binary.NativeEndian.Uint32(rest) >= 16 && int(binary.NativeEndian.Uint32(rest)) <= len(rest):
			t.Errorf("%v though %x begins with a message", err, rest)
		}
	})
}

// copyPadding copies the last three bytes, which may be padding, from the original.
func copyPadding(again, data []byte) {
	n := min(len(again), len(data))
	for i := max(0, n-3); i < n; i++ {
		if again[i] == 0 {
			again[i] = data[i]
		}
	}
}
