package bpf

import (
	"context"
	"errors"
)

// heldSocket is a socket of a process.
type heldSocket struct {
	pid   uint32
	inode uint64
}

// walkSockets reads sockets with the walker. Sockets without a cookie it reads again with the
// iterator over files, which assigns cookies.
func (it *Iterator) walkSockets(ctx context.Context, each func(*Socket)) (malformed []error, err error) {
	cookieless := map[heldSocket]uint8{}
	malformed, err = it.walker.walk(ctx, func(s *Socket) {
		if s.Cookieless != 0 {
			cookieless[heldSocket{s.Pid, s.Inode}] |= s.Cookieless
			return
		}
		each(s)
	})
	if err == nil && len(cookieless) > 0 {
		var more []error
		more, err = it.assignCookies(ctx, cookieless, each)
		malformed = append(malformed, more...)
	}
	return malformed, err
}

// manyProcesses is the number of processes above which one pass over all processes costs less than
// a pass for each of them.
const manyProcesses = 32

// ofThread is the value of Socket.Cookieless for a descriptor that is only in the table of a
// thread. Before Linux 6.7 the iterator over one process skips some of them.
const ofThread = 2

// assignCookies calls each for the given sockets, which it reads with the iterator that assigns
// cookies. A socket that the iterator does not find was closed.
func (it *Iterator) assignCookies(ctx context.Context, cookieless map[heldSocket]uint8, each func(*Socket)) (malformed []error, err error) {
	eachWanted := func(s *Socket) {
		if _, wanted := cookieless[heldSocket{s.Pid, s.Inode}]; wanted {
			each(s)
		}
	}
	pids, all := map[uint32]bool{}, false
	for s, value := range cookieless {
		pids[s.pid] = true
		all = all || value&ofThread != 0
	}
	if all || len(pids) > manyProcesses {
		return run(ctx, it.sockets, it.buffer, eachWanted)
	}
	for pid := range pids {
		iter, err := attachToProcess(it.walker.cookieAssigner, objectProgSockets, pid)
		if err != nil {
			return malformed, err
		}
		more, err := run(ctx, iter, it.buffer, eachWanted)
		malformed = append(malformed, more...)
		if err = errors.Join(err, iter.Close()); err != nil {
			return malformed, err
		}
	}
	return malformed, nil
}
