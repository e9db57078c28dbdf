package sockdiag

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/netip"
	"slices"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"closewait_exporter/kernel/host"
)

// inetDiagMsg is struct inet_diag_msg for encoding/binary: the slow and plain way to decode it.
type inetDiagMsg struct {
	Family, State, Timer, Retrans      uint8
	LocalPort, RemotePort              [2]byte
	Local, Remote                      [16]byte
	Interface, CookieLow, CookieHigh   uint32
	Expires, RecvQueue, SendQueue, UID uint32
	Inode                              uint32
}

func encode(t testing.TB, values ...any) []byte {
	t.Helper()
	var data []byte
	for _, v := range values {
		var err error
		if data, err = binary.Append(data, binary.NativeEndian, v); err != nil {
			t.Fatal(err)
		}
	}
	return data
}

// attribute is a struct rtattr with its value and padding.
func attribute(t testing.TB, number uint16, value []byte) []byte {
	t.Helper()
	data := encode(t, uint16(4+len(value)), number, value)
	return append(data, make([]byte, align(len(data))-len(data))...)
}

func closeWaitMsg(family uint8) inetDiagMsg {
	return inetDiagMsg{
		Family: family, State: 8, Timer: 2,
		LocalPort: [2]byte{0x1f, 0x90}, RemotePort: [2]byte{0xc0, 0x01},
		Local:     [16]byte{127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 1},
		Remote:    [16]byte{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 2},
		Interface: 3, CookieLow: 0xfffffffe, CookieHigh: 0x12, Expires: 4,
		RecvQueue: 6, SendQueue: 5, UID: 1000, Inode: 0xfffffff0,
	}
}

var someInfo = unix.TCPInfo{
	Last_data_sent: 1001, Last_data_recv: 1002, Last_ack_recv: 1003,
	Bytes_acked: 1 << 40, Bytes_received: 2 << 40, Bytes_sent: 3 << 40, Bytes_retrans: 4 << 40,
}

// infoBytes is a struct tcp_info as it is in memory: encoding/binary knows no padding.
func infoBytes(info unix.TCPInfo) []byte {
	return bytes.Clone((*[unsafe.Sizeof(info)]byte)(unsafe.Pointer(&info))[:])
}

func TestRowIsParsed(t *testing.T) {
	v4 := Row{
		Family: syscall.AF_INET, State: 8, Timer: 2, Interface: 3, Cookie: 0x12fffffffe,
		Local: netip.MustParseAddrPort("127.0.0.1:8080"), Remote: netip.MustParseAddrPort("0.0.0.0:49153"),
		RecvQueue: 6, SendQueue: 5, UID: 1000, Inode: 0xfffffff0,
	}
	v6 := v4
	v6.Family = syscall.AF_INET6
	v6.Local, v6.Remote = netip.MustParseAddrPort("[7f00:1::ffff:a00:1]:8080"), netip.MustParseAddrPort("[::ffff:10.0.0.2]:49153")
	withTransparent := v4
	withTransparent.Transparent = true
	withInfo := v4
	withInfo.HasInfo, withInfo.LastDataSent, withInfo.LastDataRecv, withInfo.LastAckRecv = true, 1001, 1002, 1003
	linux26, linux41 := withInfo, withInfo
	linux41.BytesAcked, linux41.BytesReceived = 1<<40, 2<<40
	sentOnly := linux41
	sentOnly.BytesSent = 3 << 40
	linux419 := sentOnly
	linux419.BytesRetransmitted, linux419.HasSent = 4<<40, true

	msg4, info := encode(t, closeWaitMsg(syscall.AF_INET)), infoBytes(someInfo)
	unknown := attribute(t, 4711, []byte("abcde"))
	path := v4
	path.Path = true
	ulp := func(name string) []byte { return attribute(t, 19, attribute(t, 1, []byte(name+"\x00"))) }
	transparent := attribute(t, 22, []byte{transparentBit(), 0})
	for name, test := range map[string]struct {
		data []byte
		want Row
	}{
		"IPv4":                                {msg4, v4},
		"IPv6, a mapped address stays mapped": {encode(t, closeWaitMsg(syscall.AF_INET6)), v6},
		"unknown attribute":                   {slices.Concat(msg4, unknown), v4},
		"last attribute without its padding":  {slices.Concat(msg4, unknown[:9]), v4},
		"empty attribute":                     {slices.Concat(msg4, attribute(t, 9, nil)), v4},
		"info of today":                       {slices.Concat(msg4, attribute(t, 2, info)), linux419},
		"info of tomorrow, between others":    {slices.Concat(msg4, unknown, attribute(t, 2, append(info, "more"...)), unknown), linux419},
		"info with bytes_retrans (4.19)":      {slices.Concat(msg4, attribute(t, 2, info[:216])), linux419},
		"info cut within bytes_retrans":       {slices.Concat(msg4, attribute(t, 2, info[:215])), sentOnly},
		"info cut within bytes_sent":          {slices.Concat(msg4, attribute(t, 2, info[:207])), linux41},
		"info with bytes_received (4.1)":      {slices.Concat(msg4, attribute(t, 2, info[:136])), linux41},
		"info that ends with total_retrans":   {slices.Concat(msg4, attribute(t, 2, info[:104])), linux26},
		"info that ends with last_ack_recv":   {slices.Concat(msg4, attribute(t, 2, info[:60])), linux26},
		"info that ends before last_ack_recv": {slices.Concat(msg4, attribute(t, 2, info[:59])), v4},
		"a path of MPTCP":                     {slices.Concat(msg4, ulp("mptcp"), unknown), path},
		"TLS in the kernel":                   {slices.Concat(msg4, ulp("tls")), v4},
		"a protocol without a name":           {slices.Concat(msg4, attribute(t, 19, attribute(t, 2, []byte("mptcp\x00")))), v4},
		"a name that is cut":                  {slices.Concat(msg4, attribute(t, 19, encode(t, uint16(10), uint16(1), []byte("mptc")))), v4},
		"a protocol without anything":         {slices.Concat(msg4, attribute(t, 19, nil)), v4},
		"empty info":                          {slices.Concat(msg4, attribute(t, 2, nil)), v4},
		"a transparent socket":                {slices.Concat(msg4, unknown, transparent), withTransparent},
		"all other options":                   {slices.Concat(msg4, attribute(t, 22, []byte{^transparentBit(), 0xff})), v4},
		"empty options":                       {slices.Concat(msg4, attribute(t, 22, nil)), v4},
	} {
		t.Run(name, func(t *testing.T) {
			row := Row{Family: 99, HasInfo: true, BytesSent: 1} // of the message before
			if err := parseRow(test.data, &row); err != nil || row != test.want {
				t.Errorf("got  %+v, %v\nwant %+v", row, err, test.want)
			}
		})
	}
}

func TestMalformedMessageLeavesAnEmptyRow(t *testing.T) {
	msg := encode(t, closeWaitMsg(syscall.AF_INET))
	info := attribute(t, 2, infoBytes(someInfo))
	for name, data := range map[string][]byte{
		"empty":                         {},
		"one byte too few":              msg[:len(msg)-1],
		"unknown family":                encode(t, closeWaitMsg(syscall.AF_UNIX)),
		"attribute header cut":          slices.Concat(msg, info[:3]),
		"attribute cut":                 slices.Concat(msg, info[:len(info)-1]),
		"attribute longer than message": slices.Concat(msg, info, encode(t, uint16(0xffff), uint16(9))),
		"attribute of length 0":         slices.Concat(msg, info, encode(t, uint32(0))),
		"attribute of length 3":         slices.Concat(msg, info, encode(t, uint16(3), uint16(9))),
		"a byte after the attributes":   slices.Concat(msg, info, []byte{0}),
	} {
		t.Run(name, func(t *testing.T) {
			row := Row{Family: 99, HasInfo: true, BytesSent: 1}
			if err := parseRow(data, &row); !errors.Is(err, host.ErrMalformed) || row != (Row{}) {
				t.Errorf("got %+v, %v, want the zero row and ErrMalformed", row, err)
			}
		})
	}
}

func TestTCPInfoHasTheLayoutOfTheSystemHeaders(t *testing.T) {
	var info unix.TCPInfo
	for _, field := range []struct {
		name      string
		got, want uintptr
	}{
		{"last_data_sent", infoLastDataSent, unsafe.Offsetof(info.Last_data_sent)},
		{"last_data_recv", infoLastDataRecv, unsafe.Offsetof(info.Last_data_recv)},
		{"last_ack_recv", infoLastAckRecv, unsafe.Offsetof(info.Last_ack_recv)},
		{"bytes_acked", infoBytesAcked, unsafe.Offsetof(info.Bytes_acked)},
		{"bytes_received", infoBytesReceived, unsafe.Offsetof(info.Bytes_received)},
		{"bytes_sent", infoBytesSent, unsafe.Offsetof(info.Bytes_sent)},
		{"bytes_retrans", infoBytesRetrans, unsafe.Offsetof(info.Bytes_retrans)},
	} {
		if field.got != field.want {
			t.Errorf("%s at %d, want %d", field.name, field.got, field.want)
		}
	}
}

func TestParseRowDoesNotAllocate(t *testing.T) {
	data := slices.Concat(encode(t, closeWaitMsg(syscall.AF_INET6)), attribute(t, 2, infoBytes(someInfo)))
	var row Row
	if n := testing.AllocsPerRun(100, func() { _ = parseRow(data, &row) }); n != 0 {
		t.Errorf("%v allocations per message", n)
	}
}

func BenchmarkParseRow(b *testing.B) {
	data := slices.Concat(encode(b, closeWaitMsg(syscall.AF_INET6)), attribute(b, 2, infoBytes(someInfo)))
	var row Row
	b.ReportAllocs()
	for b.Loop() {
		if err := parseRow(data, &row); err != nil {
			b.Fatal(err)
		}
	}
}
