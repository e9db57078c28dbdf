package alerts

import (
	"math/rand/v2"
	"slices"
	"sort"
)

// scenario is a program that leaks, or does not, minute by minute.
type scenario struct {
	name string
	play func(*stage)
	// firings is how often each alert begins to fire, by name and severity; all others never do.
	firings map[string]int
	// atEnd are the alerts that fire at the end.
	atEnd []string
}

// moment is what the exporter says of one process at one minute.
type moment map[string]float64

// stage is a simulated host with one group. Each minute it records what the exporter would say.
type stage struct {
	processes []*process
	minute    int
	history   []map[int]moment // of each minute: by pid
}

// process is a simulated process. Times are in minutes.
type process struct {
	pid, start int
	limit      float64 // of descriptors
	other      float64 // descriptors that are no leak
	ended      []int   // when the connections of its sockets ended, oldest first
	outbound   bool    // it has opened them, else it has accepted them
	unread     string  // of them
	streaming  bool    // data moves on all of them
	keepalive  bool    // they become closed after a minute
}

func (sc *scenario) simulate() *stage {
	s := &stage{}
	sc.play(s)
	return s
}

func (s *stage) run(p process) *process {
	p.start = s.minute
	s.processes = append(s.processes, &p)
	return &p
}

// replace ends a process and starts it again with another pid.
func (s *stage) replace(p *process) *process {
	s.processes = slices.DeleteFunc(s.processes, func(other *process) bool { return other == p })
	again := *p
	again.pid++
	again.ended = nil
	return s.run(again)
}

// leak adds sockets whose connections end now.
func (s *stage) leak(p *process, sockets int) {
	for range sockets {
		p.ended = append(p.ended, s.minute)
	}
}

// pass lets time pass.
func (s *stage) pass(minutes int) {
	for range minutes {
		now := map[int]moment{}
		for _, p := range s.processes {
			if len(p.ended) > 0 {
				now[p.pid] = s.of(p)
			}
		}
		s.history = append(s.history, now)
		s.minute++
	}
}

func (s *stage) of(p *process) moment {
	old := float64(sort.SearchInts(p.ended, s.minute-5))
	ended := float64(len(p.ended))
	m := moment{
		`closewait_process_sockets{state="close_wait"}`:        ended,
		`closewait_process_sockets{state="closed"}`:            0,
		`closewait_process_other_sockets{state="fin_wait2"}`:   0,
		`closewait_process_other_sockets{state="unconnected"}`: 0,
		`closewait_process_old_sockets`:                        old,
		`closewait_process_active_sockets`:                     0,
		`closewait_process_oldest_socket_age_seconds`:          float64(60 * (s.minute - p.ended[0])),
		`closewait_process_open_fds`:                           min(p.other+ended, p.limit),
		`closewait_process_max_fds`:                            p.limit,
		`closewait_process_start_time_seconds`:                 float64(60 * p.start),
		`closewait_process_recv_queue_bytes`:                   0,
	}
	if p.keepalive {
		waiting := float64(len(p.ended) - sort.SearchInts(p.ended, s.minute))
		m[`closewait_process_sockets{state="close_wait"}`], m[`closewait_process_sockets{state="closed"}`] = waiting, ended-waiting
	}
	if p.streaming {
		m[`closewait_process_active_sockets`] = old
	}
	for _, unread := range []string{"none", "fin", "data"} {
		m[`closewait_process_sockets_by_unread{unread="`+unread+`"}`] = 0
	}
	m[`closewait_process_sockets_by_unread{unread="`+p.unread+`"}`] = ended
	if p.outbound {
		m[`closewait_process_sockets_by_service{direction="outbound",port="5432"}`] = ended
	} else {
		m[`closewait_process_sockets_by_service{direction="inbound",port="8080"}`] = ended
	}
	return m
}

func server(limit float64) process {
	return process{pid: 100, limit: limit, other: 40, unread: "none"}
}

// drip leaks at random times: on average the given number of sockets an hour.
func drip(perHour float64, seed uint64) func(*stage) {
	return func(s *stage) {
		random := rand.New(rand.NewPCG(seed, 0))
		p := s.run(server(65536))
		for next := 0.0; s.minute < long; s.pass(1) {
			for ; next < float64(s.minute); next += random.ExpFloat64() * 60 / perHour {
				s.leak(p, 1)
			}
		}
	}
}

const (
	hour = 60 // minutes
	long = 9 * hour

	leak           = "ClosewaitLeak warning"
	stuck          = "ClosewaitStuck info"
	again          = "ClosewaitLeaksAgain warning"
	againExhausted = "ClosewaitLeaksAgain critical"
	willRunOut     = "ClosewaitDescriptorsWillRunOut warning"
	runsOutSoon    = "ClosewaitDescriptorsRunOutSoon critical"
	exhausted      = "ClosewaitDescriptorsExhausted critical"
)

// scenarios are the programs that alerts tend to get wrong: they flap, or they sleep.
var scenarios = []scenario{
	{"drip-1", drip(1, 1), map[string]int{stuck: 1}, []string{stuck}},
	{"drip-2", drip(2, 1), map[string]int{stuck: 1}, []string{stuck}},
	{"drip-4", drip(4, 1), map[string]int{stuck: 1, leak: 1}, []string{leak}},
	{"drip-6", drip(6, 1), map[string]int{leak: 1}, []string{leak}},
	{"drip-8", drip(8, 1), map[string]int{leak: 1}, []string{leak}},
	{"drip-12", drip(12, 1), map[string]int{leak: 1}, []string{leak}},
	{"prefork-drip", prefork(8, 4), map[string]int{stuck: 1, leak: 1}, []string{leak}},
	{"sawtooth-50", sawtooth(50), nil, nil},
	{"sawtooth-80", sawtooth(80), map[string]int{leak: 1}, []string{leak}},
	{"sawtooth-180", sawtooth(180), map[string]int{leak: 1}, []string{leak}},
	{"crash-loop", loop(0.85, 22), map[string]int{again: 1}, []string{again}},
	{"crash-loop-slow", loop(0.85, 100), map[string]int{again: 1, leak: 1, runsOutSoon: 5}, []string{again, leak}},
	{"emfile-loop", loop(1, 25), map[string]int{again: 1, againExhausted: 1}, []string{againExhausted}},
	{"recycled-workers", recycled, nil, nil},
	{"go-server", goServer, map[string]int{leak: 1, willRunOut: 1, runsOutSoon: 1, exhausted: 1}, []string{leak, runsOutSoon, exhausted}},
	{"go-server-an-hour-before", goServerFor(goServerLimit - 50), map[string]int{leak: 1, willRunOut: 1, runsOutSoon: 1}, []string{leak, willRunOut, runsOutSoon}},
	{"go-server-two-hours-before", goServerFor(goServerLimit - 2*hour), map[string]int{leak: 1, willRunOut: 1}, []string{leak, willRunOut}},
	{"idle-pool", idlePool, nil, nil},
	{"burst", burst, nil, nil},
	{"streaming", streaming, nil, nil},
	{"churn", churn, nil, nil},
	{"released", released, map[string]int{leak: 1}, nil},
}

// sawtooth leaks 2 a minute until all are closed at once, again and again.
func sawtooth(period int) func(*stage) {
	return func(s *stage) {
		p := s.run(server(65536))
		for s.minute < 8*hour {
			s.leak(p, 2)
			s.pass(1)
			if s.minute%period == 0 {
				p.ended = nil
			}
		}
	}
}

// loop leaks until a share of its 1,024 descriptors is open, within some minutes, and is started
// again, again and again.
func loop(share float64, minutes int) func(*stage) {
	return func(s *stage) {
		p := s.run(server(1024))
		for leaked := 0.0; s.minute < min(8*minutes, long); {
			for leaked += (share*p.limit - p.other) / float64(minutes); leaked >= 1; leaked-- {
				s.leak(p, 1)
			}
			s.pass(1)
			if s.minute%minutes == 0 {
				p, leaked = s.replace(p), 0
			}
		}
	}
}

// prefork has workers that leak together, at random times.
func prefork(workers int, perHour float64) func(*stage) {
	return func(s *stage) {
		random := rand.New(rand.NewPCG(1, 0))
		var all []*process
		for i := range workers {
			p := server(65536)
			p.pid += i
			all = append(all, s.run(p))
		}
		for next := 0.0; s.minute < long; s.pass(1) {
			for ; next < float64(s.minute); next += random.ExpFloat64() * 60 / perHour {
				s.leak(all[random.IntN(workers)], 1)
			}
		}
	}
}

// recycled has workers that keep some ended connections until they are replaced by turns, long
// before descriptors are short.
func recycled(s *stage) {
	var all []*process
	for i := range 4 {
		p := server(1024)
		p.pid += 1000 * i
		all = append(all, s.run(p))
	}
	for s.minute < 4*hour {
		for _, p := range all {
			if s.minute%3 == 0 {
				s.leak(p, 1)
			}
		}
		s.pass(1)
		if s.minute%10 == 0 {
			i := s.minute / 10 % len(all)
			all[i] = s.replace(all[i])
		}
	}
}

// goServer leaks one a second, until no descriptor is left. 75 seconds later keepalive has closed
// the socket.
func goServer(s *stage) { goServerFor(8 * hour)(s) }

// goServerLimit is when a Go server has no descriptor left.
const goServerLimit = (16384 - 40) / 60

func goServerFor(minutes int) func(*stage) {
	return func(s *stage) {
		p := s.run(server(16384))
		p.keepalive = true
		for s.minute < minutes {
			s.leak(p, min(60, int(p.limit-p.other)-len(p.ended)))
			s.pass(1)
		}
	}
}

func idlePool(s *stage) {
	p := server(1024)
	p.outbound, p.unread = true, "fin"
	pool := s.run(p)
	for range 10 { // its connections become idle within 10 minutes
		s.leak(pool, 5)
		s.pass(1)
	}
	s.pass(long)
}

// burst is a failure of a backend. All connections are closed when it is over.
func burst(s *stage) {
	p := s.run(server(1024))
	s.leak(p, 1)
	s.pass(hour)
	for range 20 {
		s.leak(p, 10)
		s.pass(1)
	}
	s.pass(20)
	p.ended = p.ended[:1]
	s.pass(6 * hour)
}

// streaming answers clients that have closed their half, more and more of them.
func streaming(s *stage) {
	p := s.run(server(65536))
	p.streaming = true
	for s.minute < 6*hour {
		s.leak(p, 3)
		s.pass(1)
	}
	s.pass(hour)
}

// churn is a busy server: many connections that end, and are closed within a minute.
func churn(s *stage) {
	p := s.run(server(65536))
	for s.minute < 6*hour {
		p.ended = nil
		s.leak(p, 1000+s.minute%7)
		s.pass(1)
	}
}

// released leaks for two hours, and is fixed by a restart.
func released(s *stage) {
	p := s.run(server(65536))
	for s.minute < 2*hour {
		s.leak(p, 1)
		s.pass(1)
	}
	s.leak(s.replace(p), 1)
	s.pass(6 * hour)
}
