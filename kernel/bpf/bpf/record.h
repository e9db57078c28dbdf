/* The records of the iterators, as Go reads them: every byte belongs to a field, in host byte
 * order.
 *
 * SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
#pragma once

struct record {
	__u64 inode;
	__u64 cookie; /* 0: unknown */
	__u64 start; /* of the process, in nanoseconds since boot */
	__u64 bytes_sent; /* retransmits included */
	__u64 bytes_retransmitted;
	__u64 bytes_acked;
	__u64 bytes_received;
	__u32 local[4]; /* only the first word for IPv4 */
	__u32 remote[4];
	__u32 netns;
	__u32 pid;
	__u32 fd; /* a process can have several for a socket */
	__u32 uid;
	__u32 interface;
	__u32 recv_queue; /* bytes; of a listener: connections in the accept queue */
	__u32 send_queue; /* bytes; of a listener: its backlog */
	__u32 since_last_ack; /* jiffies, like the next two */
	__u32 since_last_sent;
	__u32 since_last_received;
	__u16 local_port;
	__u16 remote_port;
	__u8 family; /* AF_INET or AF_INET6 */
	__u8 state; /* TCP_CLOSE only if it was connected before, else 0 */
	__u8 timer; /* as in inet_diag_msg */
	/* 0: it has a cookie or cannot be given one. 1: it has none yet. 2: as 1, and its
	 * descriptor is in the table of a thread. */
	__u8 cookieless;
	/* 1: an MPTCP socket. Its recv_queue is 0 if only the FIN may be unread: nothing shows whether
	 * it was read. */
	__u8 mptcp;
	__u8 opener; /* of an MPTCP connection: 1: this side, 2: the peer, 0: unknown */
	__u8 unused[6];
};

/* A process or, if thread is not pid, another thread of it that lives in another network
 * namespace. For as long as its version stays the same, so do its program, control groups, user
 * and limit of descriptors in /proc. */
struct process {
	__u64 start; /* in nanoseconds since boot */
	struct version {
		__u64 exec; /* number of calls of execve(2) */
		__u64 cgroups; /* identifies the set of control groups */
		__u64 limit; /* of open descriptors */
		__u64 user; /* effective */
	} version;
	__u32 pid;
	__u32 thread;
	__u32 netns; /* 0: the process is ending */
	__u32 state; /* of the leader: __state and exit_state (include/linux/sched.h) */
	__u8 comm[16]; /* of the leader, ends with a 0 */
};

/* The number of descriptors of a process. */
struct fd_count {
	__u64 start; /* in nanoseconds since boot */
	__u32 pid;
	__u32 open;
};

/* These variables make the compiler describe the types in the object file: it leaves out types
 * that no variable or global function needs. */
const struct record *described_record __attribute__((unused));
const struct process *described_process __attribute__((unused));
const struct fd_count *described_fd_count __attribute__((unused));
