/* Turns a socket into a record. This file is compiled twice, for two kinds of pointers. Typed
 * pointers, which the verifier knows, are read like in any C program. All others are read with
 * bpf_probe_read_kernel, which takes several times as long. READ(p, field) and FOLLOW(p, field,
 * field) read in one of the two ways, and NAME(x) makes a separate name for each.
 *
 * SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */

/* The same result as in inet_sk_diag_fill, net/ipv4/inet_diag.c. */
static __always_inline __u8 NAME(timer_of)(struct sock *sk, struct tcp_sock *tp)
{
	struct inet_connection_sock *icsk = &tp->inet_conn;

	switch (READ(icsk, icsk_pending)) {
	case 1: /* ICSK_TIME_RETRANS */
	case 5: /* ICSK_TIME_LOSS_PROBE */
	case 6: /* ICSK_TIME_REO_TIMEOUT */
		return 1;
	case 3: /* ICSK_TIME_PROBE0 */
		return 4;
	}
	if (bpf_core_field_exists(icsk->icsk_keepalive_timer))
		return READ(icsk, icsk_keepalive_timer.entry.pprev) ? 2 : 0;
	return READ(sk, sk_timer.entry.pprev) ? 2 : 0;
}

static __always_inline void NAME(addresses)(struct record *r, struct sock *sk, struct tcp_sock *tp)
{
	r->local_port = READ(sk, __sk_common.skc_num);
	if (!r->local_port) /* the socket is closed and has released its port */
		r->local_port = bpf_ntohs(READ(tp, inet_conn.icsk_inet.inet_sport));
	r->remote_port = bpf_ntohs(READ(sk, __sk_common.skc_dport));
	if (r->family == AF_INET) {
		r->local[0] = READ(sk, __sk_common.skc_rcv_saddr);
		r->remote[0] = READ(sk, __sk_common.skc_daddr);
		return;
	}
	r->local[0] = READ(sk, __sk_common.skc_v6_rcv_saddr.in6_u.u6_addr32[0]);
	r->local[1] = READ(sk, __sk_common.skc_v6_rcv_saddr.in6_u.u6_addr32[1]);
	r->local[2] = READ(sk, __sk_common.skc_v6_rcv_saddr.in6_u.u6_addr32[2]);
	r->local[3] = READ(sk, __sk_common.skc_v6_rcv_saddr.in6_u.u6_addr32[3]);
	r->remote[0] = READ(sk, __sk_common.skc_v6_daddr.in6_u.u6_addr32[0]);
	r->remote[1] = READ(sk, __sk_common.skc_v6_daddr.in6_u.u6_addr32[1]);
	r->remote[2] = READ(sk, __sk_common.skc_v6_daddr.in6_u.u6_addr32[2]);
	r->remote[3] = READ(sk, __sk_common.skc_v6_daddr.in6_u.u6_addr32[3]);
}

/* Keeps the compiler from moving reads across it, and from merging two reads. */
#define ordered() asm volatile("" ::: "memory")

/* The facts that sock_diag and tcp_get_info (net/ipv4/tcp.c) return for a connection. The socket
 * is not locked, so the order matters: the acknowledged sequence number is read before the
 * counters of bytes, and the last queued one after them. Both only grow. If they are equal, the
 * queue was empty throughout, and the counters belong to the same moment. */
static __always_inline void NAME(connection_facts)(struct record *r, struct sock *sk, struct tcp_sock *tp)
{
	__u32 waiting = READ(tp, rcv_nxt) - READ(tp, copied_seq);
	__u32 acked = READ(tp, snd_una);
	__u32 ack = READ(tp, rcv_tstamp), sent = READ(tp, lsndtime), received = READ(tp, inet_conn.icsk_ack.lrcvtime);
	/* Read last: with an earlier time, an event in between would seem 2^32 jiffies old. */
	__u32 now = bpf_jiffies64();

	r->recv_queue = (__s32)waiting > 0 ? waiting : 0;
	r->since_last_ack = now - ack;
	r->since_last_sent = now - sent;
	r->since_last_received = now - received;
	ordered();
	r->bytes_sent = READ(tp, bytes_sent);
	r->bytes_retransmitted = READ(tp, bytes_retrans);
	r->bytes_acked = READ(tp, bytes_acked);
	r->bytes_received = READ(tp, bytes_received);
	ordered();
	r->send_queue = READ(tp, write_seq) - acked;
	r->timer = NAME(timer_of)(sk, tp);
}

/* Whether a socket in state CLOSE was connected before. connect(2) sets the remote port, and the
 * first answer of the peer sets the sequence number. connect(AF_UNSPEC) clears the port. */
static __always_inline int NAME(was_connected)(struct sock *sk, struct tcp_sock *tp)
{
	return READ(sk, __sk_common.skc_dport) && READ(tp, rcv_nxt);
}

static __always_inline void NAME(identity)(struct record *r, struct sock *sk, struct tcp_sock *tp)
{
	r->family = READ(sk, __sk_common.skc_family);
	r->netns = FOLLOW(sk, __sk_common.skc_net.net, ns.inum);
	r->interface = READ(sk, __sk_common.skc_bound_dev_if);
	r->uid = READ(sk, sk_uid.val);
	NAME(addresses)(r, sk, tp);
}

/* Fills in everything but the cookie of a TCP socket in an interesting state. */
static __always_inline void NAME(describe)(struct record *r, struct sock *sk, struct tcp_sock *tp)
{
	NAME(identity)(r, sk, tp);
	switch (r->state) {
	case TCP_LISTEN:
		r->recv_queue = READ(sk, sk_ack_backlog);
		r->send_queue = READ(sk, sk_max_ack_backlog);
		return;
	case TCP_CLOSE:
		if (!NAME(was_connected)(sk, tp)) {
			r->state = NEVER_CONNECTED;
			return;
		}
	}
	NAME(connection_facts)(r, sk, tp);
}
