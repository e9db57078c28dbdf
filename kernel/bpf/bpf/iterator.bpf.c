/* Iterators over the tasks of a host (Documentation/bpf/bpf_iterators.rst). sockets writes a
 * record for each descriptor of a TCP socket that is in CLOSE_WAIT, FIN_WAIT2 or CLOSE, or
 * listening. processes writes one for each process. The programs run in read(2) on the
 * descriptor of the iterator. They change nothing, except that sockets are given their cookies.
 *
 * SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
#include "kernel.h"
#include "record.h"

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>

#define AF_INET 2
#define AF_INET6 10
#define SOCK_RAW 3 /* a raw socket can have IPPROTO_TCP */
#define IPPROTO_TCP 6
#define IPPROTO_MPTCP 262
#define SOCKFS_MAGIC 0x534F434B
#define RLIMIT_NOFILE 7 /* of most architectures */

enum { NEVER_CONNECTED = 0, TCP_ESTABLISHED = 1, TCP_FIN_WAIT2 = 5, TCP_CLOSE = 7, TCP_CLOSE_WAIT = 8, TCP_LISTEN = 10 };

#define NAME(x) x##_typed
#define READ(p, field) ((p)->field)
#define FOLLOW(p, field, next) ((p)->field->next)
#include "socket.h"
#undef NAME
#undef READ
#undef FOLLOW

#define NAME(x) x##_probed
#define READ(p, field) BPF_CORE_READ(p, field)
#define FOLLOW(p, field, next) BPF_CORE_READ(p, field, next)
#include "socket.h"

/* The level of the pid namespace of the reader; the first namespace has level 0. Pids in records
 * are numbers in this namespace. The kernel passes only tasks that live in it. */
unsigned int level;

static __always_inline void find_level(struct bpf_iter_meta *meta)
{
	if (meta->seq_num == 0)
		level = BPF_CORE_READ((struct task_struct *)bpf_get_current_task(), thread_pid, level);
}

static __always_inline __u32 pid_of(struct task_struct *task)
{
	/* Untyped, because the verifier permits no arithmetic with a typed pointer. */
	struct pid *pid = BPF_CORE_READ(task, thread_pid);
	__u32 nr = 0;

	bpf_probe_read_kernel(&nr, sizeof(nr), (void *)&pid->numbers[0].nr + level * bpf_core_type_size(struct upid));
	return nr;
}

static __always_inline int is_interesting(__u8 state)
{
	return state == TCP_CLOSE_WAIT || state == TCP_FIN_WAIT2 || state == TCP_CLOSE || state == TCP_LISTEN;
}

static __always_inline int is_ip(__u16 family)
{
	return family == AF_INET || family == AF_INET6;
}

#include "mptcp.h"

/* For sockets without a typed pointer. */
static __always_inline int describe_untyped(struct record *r, struct sock *sk)
{
	if (!is_ip(BPF_CORE_READ(sk, __sk_common.skc_family)))
		return 0;
	if (BPF_CORE_READ(sk, sk_protocol) == IPPROTO_MPTCP)
		return describe_mptcp(r, sk);
	r->state = BPF_CORE_READ(sk, __sk_common.skc_state);
	if (!is_interesting(r->state) || BPF_CORE_READ(sk, sk_type) == SOCK_RAW || BPF_CORE_READ(sk, sk_protocol) != IPPROTO_TCP)
		return 0;
	describe_probed(r, sk, (struct tcp_sock *)sk);
	return 1;
}

/* The addresses of the functions of socket files, and of TCP sockets for IPv4 and IPv6. The
 * iterator over files stores them, and walk.h recognises such files and sockets by them. */
__u64 socket_operations;
__u64 tcp_functions[2];

/* Stores the functions of a TCP socket, preferably of a listener: a connection can have other
 * functions (TLS in the kernel, sockmap). */
static __always_inline void learn(struct sock *sk, __u8 state)
{
	__u64 *functions = &tcp_functions[sk->__sk_common.skc_family == AF_INET6];

	if (!*functions || state == TCP_LISTEN)
		*functions = (__u64)sk->__sk_common.skc_prot;
}

static __always_inline int describe(struct record *r, struct sock *sk)
{
	struct tcp_sock *tp;

	if (sk->sk_protocol == IPPROTO_MPTCP)
		return describe_mptcp(r, sk);
	if (sk->sk_type == SOCK_RAW || sk->sk_protocol != IPPROTO_TCP)
		return 0;
	r->state = sk->__sk_common.skc_state;
	learn(sk, r->state);
	if (!is_interesting(r->state))
		return 0;
	tp = bpf_skc_to_tcp_sock(sk);
	if (!tp)
		return 0;
	describe_typed(r, sk, tp);
	return 1;
}

static __always_inline int emit(struct bpf_iter__task_file *ctx, struct task_struct *task, struct file *file, struct record *r)
{
	struct task_struct *leader = task->group_leader;

	r->inode = file->f_inode->i_ino;
	r->fd = ctx->fd;
	r->pid = pid_of(leader);
	r->start = leader->start_boottime;
	if (r->pid) /* 0: the process has just ended */
		bpf_seq_write(ctx->meta->seq, r, sizeof(*r)); /* if the buffer is full, the kernel calls again */
	return 0;
}

/* Linux 5.12 and later. */
SEC("iter/task_file")
int sockets(struct bpf_iter__task_file *ctx)
{
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;
	struct socket *socket;
	struct record r = {};
	struct sock *sk;

	find_level(ctx->meta);
	if (!task || !file)
		return 0;
	socket = bpf_sock_from_file(file);
	if (!socket)
		return 0;
	socket_operations = (__u64)file->f_op;
	sk = socket->sk;
	if (!sk || !is_ip(sk->__sk_common.skc_family) || !describe(&r, sk))
		return 0;
	if (r.state != TCP_LISTEN)
		r.cookie = sk->__sk_common.skc_cookie.counter ?: bpf_get_socket_cookie(sk);
	return emit(ctx, task, file, &r);
}

/* Linux 5.10 and 5.11, where a file cannot be turned into a typed pointer to its socket. */
SEC("iter/task_file")
int sockets_untyped(struct bpf_iter__task_file *ctx)
{
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;
	struct socket *socket;
	struct record r = {};
	struct sock *sk;

	find_level(ctx->meta);
	if (!task || !file || file->f_inode->i_sb->s_magic != SOCKFS_MAGIC)
		return 0;
	socket = file->private_data;
	sk = BPF_CORE_READ(socket, sk);
	if (!sk || !describe_untyped(&r, sk))
		return 0;
	return emit(ctx, task, file, &r);
}

#include "walk.h"

static __always_inline void fill_version(struct version *v, struct task_struct *leader)
{
	v->exec = leader->self_exec_id;
	v->limit = leader->signal->rlim[RLIMIT_NOFILE].rlim_cur;
	v->user = leader->cred->euid.val;
	if (bpf_core_field_exists(leader->cgroups))
		v->cgroups = (__u64)BPF_CORE_READ(leader, cgroups);
}

static __always_inline __u32 state_of(struct task_struct *leader)
{
	if (bpf_core_field_exists(leader->__state))
		return leader->__state | leader->exit_state;
	return leader->state | leader->exit_state;
}

/* Every process, and each thread that lives in another network namespace than its leader. */
SEC("iter/task")
int processes(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task, *leader;
	struct process p = {};

	find_level(ctx->meta);
	if (!task)
		return 0;
	leader = task->group_leader;
	p.netns = task->nsproxy->net_ns->ns.inum;
	if (task->pid != leader->pid && p.netns == leader->nsproxy->net_ns->ns.inum)
		return 0;
	p.pid = pid_of(leader);
	p.thread = pid_of(task);
	p.start = leader->start_boottime;
	p.state = state_of(leader);
	bpf_probe_read_kernel_str(p.comm, sizeof(p.comm), leader->comm);
	fill_version(&p.version, leader);
	if (p.pid && p.thread)
		bpf_seq_write(ctx->meta->seq, &p, sizeof(p));
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
