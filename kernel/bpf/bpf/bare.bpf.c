/* An iterator over all descriptors that only counts the sockets in CLOSE_WAIT. Benchmarks measure
 * with it the cost of the iteration itself. Linux 5.12 and later.
 *
 * SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
#include "kernel.h"

#include <bpf/bpf_helpers.h>

enum { TCP_CLOSE_WAIT = 8 };

__u64 count;

SEC("iter/task_file")
int counter(struct bpf_iter__task_file *ctx)
{
	struct file *file = ctx->file;
	struct socket *socket;
	struct sock *sk;

	if (!file)
		return 0;
	socket = bpf_sock_from_file(file);
	if (!socket)
		return 0;
	sk = socket->sk;
	if (sk && sk->__sk_common.skc_state == TCP_CLOSE_WAIT)
		count++;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
