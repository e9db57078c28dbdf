/* What the iterators say, as Go reads it: every byte belongs to a field, in the byte order of the host.
 *
 * SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
#pragma once

struct record {
	__u64 inode;
	__u64 cookie; /* 0: not known */
	__u64 start; /* of the process, nanoseconds since boot */
	__u64 bytes_sent;
	__u64 bytes_acked;
	__u64 bytes_received;
	__u32 local[4]; /* the first word alone for IPv4 */
	__u32 remote[4];
	__u32 netns;
	__u32 pid;
	__u32 fd; /* one of those that it has for the socket */
	__u32 uid;
	__u32 interface;
	__u32 recv_queue; /* bytes; of a listener: connections in its accept queue */
	__u32 send_queue;
	__u32 since_last_ack; /* jiffies, as the next two */
	__u32 since_last_sent;
	__u32 since_last_received;
	__u16 local_port;
	__u16 remote_port;
	__u8 family; /* AF_INET or AF_INET6 */
	__u8 state; /* TCP_CLOSE: defunct */
	__u8 timer; /* as in inet_diag_msg */
	__u8 unnamed; /* it has no cookie yet, and could be given one; 2: and only a thread has the descriptor */
};

/* What belongs to a process or, where thread is not pid, to another thread of it that lives in another
 * network namespace. As long as the numbers of its version stay what they are, /proc says the same of its
 * program, control groups, user and limit of descriptors. */
struct process {
	__u64 start; /* nanoseconds since boot */
	struct version {
		__u64 exec; /* counts execve(2) */
		__u64 cgroups; /* stands for the set of control groups */
		__u64 limit; /* of open descriptors */
		__u64 user; /* effective */
	} version;
	__u32 pid;
	__u32 thread;
	__u32 netns; /* 0: it is ending */
	__u32 state; /* of its leader: __state and exit_state (include/linux/sched.h) */
	__u8 comm[16]; /* of its leader, ends with a 0 */
};

/* How many descriptors a process has. */
struct tally {
	__u64 start; /* nanoseconds since boot */
	__u32 pid;
	__u32 open;
};

/* So that the object file describes them: the compiler leaves out what no function outside needs. */
const struct record *described_record __attribute__((unused));
const struct process *described_process __attribute__((unused));
const struct tally *described_tally __attribute__((unused));
