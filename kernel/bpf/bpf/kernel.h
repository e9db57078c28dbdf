/* The fields of kernel structures that the iterators read. Their offsets here mean nothing: the
 * loader takes the offsets of the running kernel from its BTF (CO-RE), so that fields may be in
 * any order, and the headers of a kernel are not needed.
 *
 * SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
#pragma once

typedef unsigned char __u8;
typedef unsigned short __u16;
typedef unsigned int __u32;
typedef unsigned long long __u64;
typedef signed char __s8;
typedef short __s16;
typedef int __s32;
typedef long long __s64;
typedef __u16 __be16;
typedef __u32 __be32;
typedef __u64 __be64;
typedef __u32 __wsum;

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct hlist_node {
	struct hlist_node **pprev; /* NULL: not in a list */
};

struct hlist_head {
	struct hlist_node *first;
};

struct timer_list {
	struct hlist_node entry;
};

struct ns_common {
	unsigned int inum;
};

struct net {
	struct ns_common ns;
};

typedef struct {
	struct net *net;
} possible_net_t;

struct nsproxy {
	struct net *net_ns;
};

struct in6_addr {
	union {
		__be32 u6_addr32[4];
	} in6_u;
};

typedef struct {
	long long counter;
} atomic64_t;

typedef struct {
	unsigned int val;
} kuid_t;

struct proto; /* the functions of a protocol, shared by its sockets */

struct sock_common {
	__be32 skc_daddr;
	__be32 skc_rcv_saddr;
	__be16 skc_dport;
	__u16 skc_num;
	unsigned short skc_family;
	volatile unsigned char skc_state;
	int skc_bound_dev_if;
	struct proto *skc_prot;
	possible_net_t skc_net;
	struct in6_addr skc_v6_daddr;
	struct in6_addr skc_v6_rcv_saddr;
	atomic64_t skc_cookie;
};

struct sock {
	struct sock_common __sk_common;
	__u32 sk_ack_backlog;
	__u32 sk_max_ack_backlog;
	kuid_t sk_uid;
	__u16 sk_type;
	__u16 sk_protocol;
	struct timer_list sk_timer;
};

struct inet_sock {
	__be16 inet_sport;
};

struct inet_connection_sock {
	struct inet_sock icsk_inet;
	struct timer_list icsk_keepalive_timer; /* older kernels use sk_timer of struct sock */
	__u8 icsk_pending;
	struct {
		__u32 lrcvtime;
	} icsk_ack;
};

struct tcp_sock {
	struct inet_connection_sock inet_conn;
	__u64 bytes_received;
	__u32 rcv_nxt;
	__u32 copied_seq;
	__u32 snd_una;
	__u32 rcv_tstamp;
	__u32 lsndtime;
	__u64 bytes_sent;
	__u64 bytes_retrans;
	__u64 bytes_acked;
	__u32 write_seq;
};

struct mptcp_sock {
	__u64 write_seq;
	__u64 bytes_sent;
	__u64 bytes_received;
	__u64 bytes_retrans;
	__u64 bytes_consumed;
	__u64 bytes_acked;
	__u64 snd_una;
	__u32 last_data_sent;
	__u32 last_data_recv;
	__u32 last_ack_recv;
	_Bool can_ack;
	struct sock *first;
};

struct socket {
	struct sock *sk;
};

struct super_block {
	unsigned long s_magic;
};

struct inode {
	struct super_block *i_sb;
	unsigned long i_ino;
};

struct file_operations;

struct file {
	const struct file_operations *f_op;
	struct inode *f_inode;
	void *private_data;
};

struct fdtable {
	unsigned int max_fds;
	struct file **fd;
	unsigned long *open_fds; /* bits */
};

struct files_struct {
	struct fdtable *fdt;
};

struct upid {
	int nr;
};

struct pid {
	unsigned int level;
	struct upid numbers[1];
};

struct css_set;

struct cred {
	kuid_t euid;
};

struct rlimit {
	unsigned long rlim_cur;
};

struct signal_struct {
	struct rlimit rlim[16];
};

struct task_struct {
	unsigned int __state; /* before Linux 5.14 its name was state */
	volatile long state;
	int exit_state;
	char comm[16];
	struct task_struct *group_leader;
	const struct cred *cred;
	struct signal_struct *signal;
	struct css_set *cgroups;
	__u64 self_exec_id;
	struct pid *thread_pid;
	struct files_struct *files;
	struct nsproxy *nsproxy;
	__u64 start_boottime;
	int pid;
	int tgid;
};

struct seq_file;

struct bpf_iter_meta {
	struct seq_file *seq;
	__u64 seq_num;
};

struct bpf_iter__task {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
};

struct bpf_iter__task_file {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
	__u32 fd;
	struct file *file;
};

#pragma clang attribute pop
