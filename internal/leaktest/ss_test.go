package leaktest

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTheOutputOfSSIsParsed(t *testing.T) {
	addr := netip.MustParseAddrPort
	tests := []struct {
		name, out string
		want      []Row
	}{
		{"nothing", "", nil},
		{"a held socket", `1      0      127.0.0.1:37839 127.0.0.1:33882 users:(("leak",pid=28664,fd=12)) ino:59227 sk:1001 cgroup:/ --> ts sack bytes_sent:18432 bytes_acked:1` + "\n",
			[]Row{{Local: addr("127.0.0.1:37839"), Remote: addr("127.0.0.1:33882"), RecvQ: 1, Inode: 59227, Cookie: 0x1001,
				Users: []User{{"leak", 28664, 12}}, BytesSent: 18432}}},
		{"an unaccepted socket of another user with a timer, v4-mapped",
			`8      2      [::ffff:127.0.0.1]:37707 [::ffff:127.0.0.1]:37136 timer:(persist,1.2sec,3) uid:1000 ino:0 sk:5 cgroup:/ --> ts` + "\n",
			[]Row{{Local: addr("[::ffff:127.0.0.1]:37707"), Remote: addr("[::ffff:127.0.0.1]:37136"), RecvQ: 8, SendQ: 2, UID: 1000, Cookie: 5, Timer: "persist"}}},
		{"a socket that a parent and a child hold", `0 0 [::1]:1 [::1]:2 users:(("a",pid=2,fd=3),("b",pid=1,fd=4)) ino:7 sk:a ` + "\n",
			[]Row{{Local: addr("[::1]:1"), Remote: addr("[::1]:2"), Inode: 7, Cookie: 10, Users: []User{{"a", 2, 3}, {"b", 1, 4}}}}},
		{"two, the first of a process with a newline, quotes and a false uid in its name",
			"1 0 127.0.0.1:1 127.0.0.1:2 users:((\"a\" uid:9\n\",x\",pid=1,fd=2)) ino:7 sk:1 \n0 0 127.0.0.1:1 127.0.0.1:3 ino:8 sk:2 \n",
			[]Row{
				{Local: addr("127.0.0.1:1"), Remote: addr("127.0.0.1:2"), RecvQ: 1, Inode: 7, Cookie: 1, Users: []User{{"a\" uid:9\n\",x", 1, 2}}},
				{Local: addr("127.0.0.1:1"), Remote: addr("127.0.0.1:3"), Inode: 8, Cookie: 2},
			}},
		{"listeners with their state, on wildcards", "LISTEN 0 4096 *:80 *:* ino:7 sk:1 \nLISTEN 0 1 0.0.0.0:81 0.0.0.0:* ino:8 sk:2 \n",
			[]Row{{Local: addr("[::]:80"), SendQ: 4096, Inode: 7, Cookie: 1}, {Local: addr("0.0.0.0:81"), SendQ: 1, Inode: 8, Cookie: 2}}},
		{"a socket that is bound to an interface", "0 0 [fe80::1]%lo:1 127.0.0.1%lo:2 ino:7 sk:1 \n",
			[]Row{{Local: addr("[fe80::1]:1"), Remote: addr("127.0.0.1:2"), Inode: 7, Cookie: 1}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseSS(tt.out)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got, cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); diff != "" {
				t.Errorf("rows (-want +got):\n%s", diff)
			}
		})
	}
}
