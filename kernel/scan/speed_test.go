package scan

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"closewait_exporter/closewait"
	"closewait_exporter/internal/leaktest"
	"closewait_exporter/kernel/bpf/bare"
	"closewait_exporter/kernel/host"
	"closewait_exporter/kernel/sockdiag"
)

// TestSpeed is `make bench`: it builds the loads, measures everything in the same run, prints
// tables of ratios and fails where one is worse than docs/PERFORMANCE.md promises.
func TestSpeed(t *testing.T) {
	if os.Getenv("CLOSEWAIT_BENCH") == "" {
		t.Skip("takes minutes: run make bench")
	}
	leaktest.RequireRoot(t)
	only := os.Getenv("CLOSEWAIT_BENCH_ONLY")
	for _, load := range []struct {
		name    string
		measure func(*benchReport)
	}{
		{"healthy", healthyHost}, {"leaks", leaks}, {"namespaces", namespaces},
	} {
		if only != "" && only != load.name {
			continue
		}
		t.Run(load.name, func(t *testing.T) {
			r := &benchReport{t: t}
			load.measure(r)
		})
	}
}

// healthyHost measures a host with many descriptors and nothing in CLOSE_WAIT.
func healthyHost(r *benchReport) {
	const processes, connections = 3, 8_350
	s := openForSpeed(r.t, ScannerEBPF)
	snapshot, err := s.scanner.Scan(r.t.Context())
	s.scanner.Close()
	if err != nil {
		r.t.Fatal(err)
	}
	if n := len(snapshot.Sockets); n > 0 {
		r.t.Skipf("this host is not healthy: %d sockets leak on it", n)
	}
	r.section(fmt.Sprintf("healthy host, %d descriptors", processes*connections*2))
	leaktest.StartMany(r.t, processes, "--nofile=20000", fmt.Sprintf("--established=%d", connections))
	bare, scans := r.scans()
	r.atMost("netlink: scan - bare dump, wall, ms", (scans[ScannerNetlink].wall-bare.dump.wall).Seconds()*1000, 2)
	r.atMost("ebpf: scan, CPU, ms", scans[ScannerEBPF].cpu.Seconds()*1000, 10)
	r.exporterMemory(30)
}

// leaks measures 100,000 sockets in CLOSE_WAIT, at first alone and then among established ones.
func leaks(r *benchReport) {
	const processes, sockets = 6, 16_667
	r.section(fmt.Sprintf("%d CLOSE_WAIT in %d processes", processes*sockets, processes))
	leaktest.StartMany(r.t, processes, "--nofile=20000", fmt.Sprintf("--sockets=%d", sockets))
	ss := r.command("ss -tanp state close-wait", "ss", "-tanp", "state", "close-wait")
	r.command("lsof -nP -iTCP -sTCP:CLOSE_WAIT", "lsof", "-nP", "-iTCP", "-sTCP:CLOSE_WAIT")
	r.command("netstat -tnp", "netstat", "-tnp")
	cold := r.coldScan(ScannerNetlink, 15)
	r.coldScan(ScannerEBPF, 15)
	bare, scans := r.scans()
	r.atMost("netlink: cold scan / ss", cold.over(ss), 1./10)
	r.atMost("netlink: repeated scan / ss", scans[ScannerNetlink].over(ss), 1./30)
	r.atMost("ebpf: scan / ss", scans[ScannerEBPF].over(ss), 1./50)
	r.atMost("ebpf: scan / bare iterator", scans[ScannerEBPF].over(bare.iterator), 1.5)
	r.exporterMemory(100)

	const others, connections = 42, 9_650
	r.section(fmt.Sprintf("the same among %d established", others*connections*2))
	leaktest.StartMany(r.t, others, "--nofile=20000", fmt.Sprintf("--established=%d", connections))
	cold = r.coldScan(ScannerNetlink, 5)
	bare, scans = r.scans()
	r.atMost("netlink: repeated scan / bare dump", scans[ScannerNetlink].over(bare.dump), 1.3)
	r.atMost("ebpf: scan / bare iterator", scans[ScannerEBPF].over(bare.iterator), 1.3)
	r.atMost("ebpf: scan / cold netlink scan", scans[ScannerEBPF].over(cold), 1./8)
}

// namespaces measures 1,000 containers that leak a little each.
func namespaces(r *benchReport) {
	const containers, sockets = 1_000, 5
	r.section(fmt.Sprintf("%d network namespaces with %d CLOSE_WAIT each", containers, sockets))
	shareHashTable(r.t)
	leaktest.Where{NetNS: true}.StartMany(r.t, containers, fmt.Sprintf("--sockets=%d", sockets))
	cold := r.coldScan(ScannerNetlink, 5)
	_, scans := r.scans()
	r.atMost("ebpf: scan / netlink scan", scans[ScannerEBPF].over(scans[ScannerNetlink]), 1./20)
	r.atMost("ebpf: scan / cold netlink scan", scans[ScannerEBPF].over(cold), 1./20)
}

// shareHashTable lets new network namespaces share the table of connections of the host, as on
// other hosts, which is then read for each of them. The other tests make it smaller.
func shareHashTable(t *testing.T) {
	err := os.WriteFile("/proc/sys/net/ipv4/tcp_child_ehash_entries", []byte("0"), 0)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
}

// bareCosts is what the kernel needs for the sockets alone.
type bareCosts struct{ dump, iterator cost }

// scans measures in turn what the kernel needs for the rows alone, received and dropped, and
// repeated scans by each scanner, with and without the View of them.
func (r *benchReport) scans() (bareCosts, map[string]cost) {
	counter, err := bare.New()
	if err != nil {
		r.t.Fatal(err)
	}
	defer counter.Close()
	buf := make([]byte, 256<<10)
	names := []string{"bare kernel dump", "bare iterator"}
	contenders := []func() error{
		func() error { return receiveDump(buf) },
		func() error { _, err := counter.Count(); return err },
	}
	scanners := []string{ScannerEBPF, ScannerNetlink}
	for _, scanner := range scanners {
		s := openForSpeed(r.t, scanner)
		defer s.scanner.Close()
		for range maxVainWalks + 1 {
			if err := s.scanAndTrack(); err != nil {
				r.t.Fatal(err)
			}
		}
		names = append(names, scanner+": repeated scan", scanner+": repeated scan and View")
		contenders = append(contenders, s.scan, s.scanAndTrack)
	}
	costs := best(r.t, contenders...)
	scans := map[string]cost{}
	for i, name := range names {
		r.add(name, costs[i])
	}
	for i, scanner := range scanners {
		scans[scanner] = costs[2+2*i]
	}
	procfs := openForSpeed(r.t, ScannerProcFS)
	defer procfs.scanner.Close()
	r.add("procfs: cold scan", measure(r.t, procfs.scan)) // once: it takes too long
	r.add("procfs: repeated scan", measure(r.t, procfs.scan))
	return bareCosts{costs[0], costs[1]}, scans
}

func receiveDump(buf []byte) error {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_SOCK_DIAG)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.Sendto(fd, sockdiag.DumpRequest(host.TCPCloseWait, host.TCPListen), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return err
	}
	for done := false; !done; {
		n, err := unix.Read(fd, buf)
		if err != nil {
			return err
		}
		for rest := buf[:n]; len(rest) > 0; rest = rest[binary.NativeEndian.Uint32(rest):] { // lengths are multiples of 4
			done = done || binary.NativeEndian.Uint16(rest[4:]) == unix.NLMSG_DONE
		}
	}
	return nil
}

// coldScan measures the first scan of a Scanner, which has to find all owners, and separately
// what the Tracker needs for the first View.
func (r *benchReport) coldScan(scanner string, runs int) cost {
	scan, view := cost{}, cost{}
	for range runs {
		s := openForSpeed(r.t, scanner)
		var snapshot *closewait.Snapshot
		scan = cheaper(scan, measure(r.t, func() (err error) {
			snapshot, err = s.scanner.Scan(context.Background())
			return err
		}))
		view = cheaper(view, measure(r.t, func() error { s.tracker.Update(snapshot); return nil }))
		s.scanner.Close()
	}
	r.add(scanner+": cold scan", scan)
	r.add(scanner+": first View of it", view)
	return scan
}

// speedScanner is a Scanner with the Tracker behind it.
type speedScanner struct {
	scanner Scanner
	tracker *closewait.Tracker
}

func openForSpeed(t *testing.T, name string) *speedScanner {
	scanner, _, err := Open(openHost(t, host.DefaultPath), Options{Scanner: name, Refresh: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	return &speedScanner{scanner, closewait.NewTracker([]float64{1, 60, 3600})}
}

func (s *speedScanner) scan() error {
	_, err := s.scanner.Scan(context.Background())
	return err
}

func (s *speedScanner) scanAndTrack() error {
	snapshot, err := s.scanner.Scan(context.Background())
	if err == nil {
		s.tracker.Update(snapshot)
	}
	return err
}
