/* Remembers where the code of one process makes its TCP sockets, and where it reads their end: the
 * user stacks, in a storage of each socket (BPF_MAP_TYPE_SK_STORAGE). Several programs see the same
 * event on different kernels. Each is loaded and attached on its own, and those that the kernel
 * does not support are left out. They change nothing. What they remember is freed with the socket
 * or with the map, which lives as long as the exporter keeps it open.
 *
 * SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
#include "kernel.h"
#include "stacks.h"

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_tracing.h>

#define AF_INET 2
#define AF_INET6 10
#define SOCK_RAW 3 /* a raw socket can have IPPROTO_TCP */
#define IPPROTO_TCP 6

enum { BPF_MAP_TYPE_STACK_TRACE = 7, BPF_MAP_TYPE_SK_STORAGE = 24 };
enum { BPF_F_NO_PREALLOC = 1, BPF_F_USER_STACK = 256, BPF_SK_STORAGE_GET_F_CREATE = 1 };
enum {
	NEVER_CONNECTED = 0, TCP_ESTABLISHED = 1, TCP_SYN_SENT = 2, TCP_CLOSE = 7, TCP_CLOSE_WAIT = 8, TCP_LAST_ACK = 9,
	TCP_LISTEN = 10, TCP_CLOSING = 11,
};
enum { EPIPE = 32, ECONNRESET = 104, ETIMEDOUT = 110 };

#define NAME(x) x##_typed
#define READ(p, field) ((p)->field)
#define FOLLOW(p, field, next) ((p)->field->next)
#include "socket.h"

struct {
	__uint(type, BPF_MAP_TYPE_STACK_TRACE);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, MAX_FRAMES * sizeof(__u64));
	__uint(max_entries, MAX_STACKS);
} stacks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct birth);
} births SEC(".maps");

/* The traced process: its pid in the first pid namespace, its start in nanoseconds since boot, and
 * its pid in the namespace of the exporter. tgid is 0 until locate has found the process. */
__u32 tgid;
__u64 start;
__u64 executions; /* its calls of execve(2) */
__u32 pid;

static __always_inline int is_traced_process(void)
{
	return tgid && bpf_get_current_pid_tgid() >> 32 == tgid;
}

static __always_inline int is_connection(struct sock *sk)
{
	__u16 family = sk->__sk_common.skc_family;

	return (family == AF_INET || family == AF_INET6) && sk->sk_type != SOCK_RAW && sk->sk_protocol == IPPROTO_TCP &&
	       sk->__sk_common.skc_state != TCP_LISTEN;
}

/* Remembers where a socket was seen first. A socket whose connect(2) has failed can be connected
 * again: the last call counts. */
static __always_inline struct birth *remember(void *ctx, struct sock *sk, __u8 call)
{
	struct birth *b = bpf_sk_storage_get(&births, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);

	if (!b)
		return 0;
	b->stack = bpf_get_stackid(ctx, &stacks, BPF_F_USER_STACK);
	b->thread = bpf_get_current_pid_tgid();
	b->call = call;
	b->end_call = CALL_NONE;
	bpf_get_current_comm(b->comm, sizeof(b->comm));
	return b;
}

/* Whether the result of a read or write says that the connection has ended. */
static __always_inline int shows_end(struct sock *sk, int result)
{
	switch (sk->__sk_common.skc_state) {
	case TCP_CLOSE:
	case TCP_CLOSE_WAIT:
	case TCP_LAST_ACK:
	case TCP_CLOSING:
		return result == 0 || result == -EPIPE || result == -ECONNRESET || result == -ETIMEDOUT;
	}
	return 0;
}

/* A read or write. The first one of a socket stands for its birth, where that was not seen. */
static __always_inline int used(void *ctx, struct sock *sk, int result, __u8 call)
{
	struct birth *b;

	if (!is_traced_process() || !is_connection(sk))
		return 0;
	b = bpf_sk_storage_get(&births, sk, 0, 0);
	if (!b)
		b = remember(ctx, sk, call);
	if (b && b->end_call == CALL_NONE && shows_end(sk, result)) {
		b->end_stack = bpf_get_stackid(ctx, &stacks, BPF_F_USER_STACK);
		b->end_call = call;
	}
	return 0;
}

static __always_inline int born(void *ctx, struct sock *sk, __u8 call)
{
	if (sk && is_traced_process() && is_connection(sk))
		remember(ctx, sk, call);
	return 0;
}

/* connect(2) sends the SYN itself. */
SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(state_changed, struct sock *sk, int before, int after)
{
	return after == TCP_SYN_SENT ? born(ctx, sk, CALL_CONNECT) : 0;
}

SEC("fentry/tcp_connect")
int BPF_PROG(connecting, struct sock *sk)
{
	return born(ctx, sk, CALL_CONNECT);
}

struct proto_accept_arg;

/* Linux 6.10 and later. */
SEC("fexit/inet_csk_accept")
int BPF_PROG(accepted, struct sock *listener, struct proto_accept_arg *arg, struct sock *sk)
{
	return born(ctx, sk, CALL_ACCEPT);
}

SEC("fexit/inet_csk_accept")
int BPF_PROG(accepted_before_6_10, struct sock *listener, int flags, int *err, _Bool kern, struct sock *sk)
{
	return born(ctx, sk, CALL_ACCEPT);
}

/* Linux 6.3 and later. */
SEC("tp_btf/sock_recv_length")
int BPF_PROG(received, struct sock *sk, int result, int flags)
{
	return used(ctx, sk, result, CALL_READ);
}

SEC("tp_btf/sock_send_length")
int BPF_PROG(sent, struct sock *sk, int result, int flags)
{
	/* A write of nothing returns 0, too. */
	return used(ctx, sk, result ?: 1, CALL_WRITE);
}

struct msghdr;

SEC("fexit/tcp_recvmsg")
int BPF_PROG(received_before_6_3, struct sock *sk, struct msghdr *msg, __u64 len, int flags, int *addr_len, int result)
{
	return used(ctx, sk, result, CALL_READ);
}

SEC("fexit/tcp_sendmsg")
int BPF_PROG(sent_before_6_3, struct sock *sk, struct msghdr *msg, __u64 size, int result)
{
	return used(ctx, sk, result ?: 1, CALL_WRITE);
}

/* An iterator over the one task that is to be traced. */
SEC("iter/task")
int locate(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;

	if (task) {
		tgid = task->tgid;
		start = task->group_leader->start_boottime;
		executions = task->group_leader->self_exec_id;
	}
	return 0;
}

/* An iterator over the descriptors of the traced process. */
SEC("iter/task_file")
int traced_sockets(struct bpf_iter__task_file *ctx)
{
	struct file *file = ctx->file;
	struct socket *socket;
	struct traced t = {};
	struct tcp_sock *tp;
	struct birth *b;
	struct sock *sk;

	if (!ctx->task || !file)
		return 0;
	socket = bpf_sock_from_file(file);
	if (!socket)
		return 0;
	sk = socket->sk;
	if (!sk || !is_connection(sk))
		return 0;
	tp = bpf_skc_to_tcp_sock(sk);
	if (!tp)
		return 0;
	t.socket.state = sk->__sk_common.skc_state;
	describe_typed(&t.socket, sk, tp);
	t.socket.cookie = sk->__sk_common.skc_cookie.counter ?: bpf_get_socket_cookie(sk);
	t.socket.inode = file->f_inode->i_ino;
	t.socket.fd = ctx->fd;
	t.socket.pid = pid;
	t.socket.start = start;
	b = bpf_sk_storage_get(&births, sk, 0, 0);
	if (b)
		t.birth = *b;
	bpf_seq_write(ctx->meta->seq, &t, sizeof(t)); /* if the buffer is full, the kernel calls again */
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
