/* Turns an MPTCP socket into a record. It has a TCP socket below it for each path. The state is its
 * own: the paths stay established until both sides have closed. It has copies of the addresses of
 * the first path, which keep their values when that path is closed.
 *
 * A connection whose peer does not know MPTCP falls back to TCP: it has one path and no key of the
 * peer (can_ack), and the path has its counters. Only the bytes that were not read are
 * here, as the path passes all data on.
 *
 * SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */

static __always_inline __u32 least(__u32 a, __u32 b)
{
	return a < b ? a : b;
}

static __always_inline __u32 most(__u32 a, __u32 b)
{
	return a > b ? a : b;
}

/* The side that opened the connection, from the numbers of the first path: openerOf in
 * kernel/scan/sample.go. */
static __always_inline __u8 opener_of(struct record *r, __u8 path)
{
	if (r->send_queue || (path != TCP_ESTABLISHED && path != TCP_CLOSE_WAIT))
		return 0;
	switch (r->bytes_acked - (r->bytes_sent - r->bytes_retransmitted)) {
	case 0:
		return 2;
	case 1:
		return 1;
	}
	return 0;
}

static __always_inline void mptcp_unread(struct record *r, struct mptcp_sock *msk)
{
	__u64 payload = 0;

	if (bpf_core_field_exists(msk->bytes_consumed) && bpf_core_field_exists(msk->bytes_received))
		payload = BPF_CORE_READ(msk, bytes_received) - BPF_CORE_READ(msk, bytes_consumed);
	r->recv_queue = (__s64)payload > 0 ? payload + 1 : 0;
}

/* Times and numbers of a connection with all of its paths. Of two times the shorter one counts: a
 * connection can fall back to TCP later, and then only its first path has the time. Before Linux
 * 6.10 only the path has times, which can be too long. */
static __always_inline void mptcp_facts(struct record *r, struct mptcp_sock *msk)
{
	__u32 ack, sent, received, now;

	if (bpf_core_field_exists(msk->last_ack_recv)) {
		ack = BPF_CORE_READ(msk, last_ack_recv);
		sent = BPF_CORE_READ(msk, last_data_sent);
		received = BPF_CORE_READ(msk, last_data_recv);
		now = bpf_jiffies64();
		r->since_last_ack = least(r->since_last_ack, now - ack);
		r->since_last_sent = least(r->since_last_sent, now - sent);
		r->since_last_received = least(r->since_last_received, now - received);
	} else {
		r->since_last_ack = r->since_last_sent = r->since_last_received = 0;
	}
	if (bpf_core_field_exists(msk->snd_una) && bpf_core_field_exists(msk->write_seq))
		r->send_queue = most(r->send_queue, BPF_CORE_READ(msk, write_seq) - BPF_CORE_READ(msk, snd_una));
	if (bpf_core_field_exists(msk->bytes_acked)) {
		r->bytes_sent = BPF_CORE_READ(msk, bytes_sent);
		r->bytes_retransmitted = BPF_CORE_READ(msk, bytes_retrans);
		r->bytes_acked = BPF_CORE_READ(msk, bytes_acked);
		r->bytes_received = BPF_CORE_READ(msk, bytes_received);
	}
}

static __always_inline void describe_mptcp_connection(struct record *r, struct mptcp_sock *msk, struct sock *first)
{
	__u8 path = TCP_CLOSE;

	if (first)
		path = BPF_CORE_READ(first, __sk_common.skc_state);
	if (path == TCP_CLOSE)
		r->since_last_ack = r->since_last_sent = r->since_last_received = ~0;
	else
		connection_facts_probed(r, first, (struct tcp_sock *)first);
	r->opener = opener_of(r, path);
	mptcp_unread(r, msk);
	if (BPF_CORE_READ(msk, can_ack))
		mptcp_facts(r, msk);
	else if (path == TCP_CLOSE)
		r->since_last_ack = r->since_last_sent = r->since_last_received = 0;
}

/* connect(AF_UNSPEC), which makes a socket usable again, clears the key of the peer and the port
 * of the path. */
static __always_inline int mptcp_was_connected(struct mptcp_sock *msk, struct sock *first)
{
	return BPF_CORE_READ(msk, can_ack) || (first && was_connected_probed(first, (struct tcp_sock *)first));
}

/* Fills in everything but the cookie. Returns 0 if the socket is not of interest. */
static __always_inline int describe_mptcp(struct record *r, struct sock *sk)
{
	struct mptcp_sock *msk = (struct mptcp_sock *)sk;
	struct sock *first;

	if (!bpf_core_type_exists(struct mptcp_sock))
		return 0;
	r->state = BPF_CORE_READ(sk, __sk_common.skc_state);
	first = BPF_CORE_READ(msk, first);
	/* Old kernels leave the state of a connection that has fallen back as it is. */
	if (r->state == TCP_ESTABLISHED && first && !BPF_CORE_READ(msk, can_ack))
		r->state = BPF_CORE_READ(first, __sk_common.skc_state);
	if (!is_interesting(r->state))
		return 0;
	identity_probed(r, sk, (struct tcp_sock *)sk); /* only fields that both have */
	r->mptcp = 1;
	if (r->state == TCP_LISTEN) {
		r->recv_queue = first ? BPF_CORE_READ(first, sk_ack_backlog) : 0;
		r->send_queue = first ? BPF_CORE_READ(first, sk_max_ack_backlog) : 0;
	} else if (r->state != TCP_CLOSE)
		describe_mptcp_connection(r, msk, first);
	else if (!mptcp_was_connected(msk, first))
		r->state = NEVER_CONNECTED;
	return 1;
}
