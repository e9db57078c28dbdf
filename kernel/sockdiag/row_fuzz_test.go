package sockdiag

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"closewait_exporter/kernel/host"
)

func FuzzParseRow(f *testing.F) {
	msg := encode(f, closeWaitMsg(syscall.AF_INET))
	info := attribute(f, 2, infoBytes(someInfo))
	f.Add([]byte{})
	f.Add(encode(f, closeWaitMsg(syscall.AF_INET6)))
	f.Add(slices.Concat(msg, info))
	f.Add(slices.Concat(msg, info, attribute(f, 2, []byte("short"))))
	f.Add(slices.Concat(msg, info[:100]))
	f.Add(slices.Concat(msg, attribute(f, 19, attribute(f, 1, []byte("mptcp\x00")))))
	f.Add(slices.Concat(msg, attribute(f, 19, encode(f, uint16(40), uint16(1)))))
	f.Add(slices.Concat(msg, []byte{0, 0, 0, 0}))
	f.Fuzz(func(t *testing.T, data []byte) {
		want, whole := parseRowPlainly(t, data)
		var row Row
		err := parseRow(data, &row)
		if !whole {
			if !errors.Is(err, host.ErrMalformed) || row != (Row{}) {
				t.Errorf("got %+v, %v, want the zero row and ErrMalformed", row, err)
			}
			return
		}
		if err != nil || row != want {
			t.Errorf("got  %+v, %v\nwant %+v", row, err, want)
		}
	})
}

// parseRowPlainly does what parseRow does, with encoding/binary. It returns false for malformed
// data.
func parseRowPlainly(t *testing.T, data []byte) (Row, bool) {
	t.Helper()
	reader := bytes.NewReader(data)
	var m inetDiagMsg
	if binary.Read(reader, binary.NativeEndian, &m) != nil || m.Family != syscall.AF_INET && m.Family != syscall.AF_INET6 {
		return Row{}, false
	}
	addr := func(b [16]byte, p [2]byte) netip.AddrPort {
		a := netip.AddrFrom16(b)
		if m.Family == syscall.AF_INET {
			a = netip.AddrFrom4([4]byte(b[:4]))
		}
		return netip.AddrPortFrom(a, uint16(p[0])<<8|uint16(p[1]))
	}
	row := Row{
		Family: m.Family, State: m.State, Timer: m.Timer,
		Local: addr(m.Local, m.LocalPort), Remote: addr(m.Remote, m.RemotePort),
		Interface: m.Interface, Cookie: uint64(m.CookieHigh)<<32 + uint64(m.CookieLow),
		RecvQueue: m.RecvQueue, SendQueue: m.SendQueue, UID: m.UID, Inode: m.Inode,
	}
	for reader.Len() > 0 {
		var header struct{ Size, Type uint16 }
		if binary.Read(reader, binary.NativeEndian, &header) != nil || header.Size < 4 {
			return Row{}, false
		}
		value := make([]byte, header.Size-4)
		if n, _ := reader.Read(value); n < len(value) {
			return Row{}, false
		}
		for reader.Len() > 0 && (int(reader.Size())-reader.Len())%4 != 0 {
			if _, err := reader.ReadByte(); err != nil {
				return Row{}, false
			}
		}
		if header.Type == 2 && len(value) >= 60 {
			row.setInfoPlainly(value)
		}
		if header.Type == 19 {
			var name struct{ Size, Type uint16 }
			whole := binary.Read(bytes.NewReader(value), binary.NativeEndian, &name) == nil && name.Size >= 4 && int(name.Size) <= len(value)
			row.Path = whole && name.Type == 1 && strings.TrimRight(string(value[4:name.Size]), "\x00") == "mptcp"
		}
	}
	return row, true
}

func (r *Row) setInfoPlainly(value []byte) {
	var info unix.TCPInfo
	copy((*[unsafe.Sizeof(info)]byte)(unsafe.Pointer(&info))[:], value)
	r.HasInfo = true
	r.LastDataSent, r.LastDataRecv, r.LastAckRecv = info.Last_data_sent, info.Last_data_recv, info.Last_ack_recv
	if len(value) >= int(unsafe.Offsetof(info.Bytes_acked))+8 {
		r.BytesAcked = info.Bytes_acked
	}
	if len(value) >= int(unsafe.Offsetof(info.Bytes_received))+8 {
		r.BytesReceived = info.Bytes_received
	}
	if len(value) >= int(unsafe.Offsetof(info.Bytes_sent))+8 {
		r.BytesSent = info.Bytes_sent
	}
	if len(value) >= int(unsafe.Offsetof(info.Bytes_retrans))+8 {
		r.BytesRetransmitted, r.HasSent = info.Bytes_retrans, true
	}
}

func FuzzParseMPTCP(f *testing.F) {
	msg := encode(f, closeWaitMsg(syscall.AF_INET))
	f.Add([]byte{})
	f.Add(slices.Concat(msg, attribute(f, 2, encode(f, mptcpInfo{Flags: 1, WriteSeq: 3, SndUna: 1}))))
	f.Add(slices.Concat(msg, attribute(f, 2, encode(f, mptcpInfo{LastReceived: 9})[:90])))
	f.Fuzz(func(t *testing.T, data []byte) {
		_, whole := parseRowPlainly(t, data)
		var row Row
		err := parseMPTCP(data, &row)
		switch {
		case !whole:
			if !errors.Is(err, host.ErrMalformed) || row != (Row{}) {
				t.Errorf("got %+v, %v, want the zero row and ErrMalformed", row, err)
			}
		case err != nil || !row.MPTCP || row.RecvQueue != 0 || row.HasSent || row.Fallback && row.HasInfo:
			t.Errorf("got %+v, %v", row, err)
		}
	})
}
