/* The same records as those of the iterator over files, for less (docs/PERFORMANCE.md): the table of descriptors is
 * read as it lies in memory. The iterator takes and drops a lock and a reference for each descriptor, which costs
 * more than all the rest, and keeps the processor from fetching several at once.
 *
 * Nothing that is read is held. A program runs within rcu_read_lock, so what is freed by RCU stays what it is: a table that
 * has grown, struct socket with its inode, files before Linux 6.7. The table of a process that ends, later files, and
 * struct sock can be freed and used anew meanwhile. Reads are safe all the same (bpf_rdonly_cast: what is not there reads
 * as 0), and before a record counts it is made sure that the process still had that descriptor, and it that socket,
 * after the last of them. A socket without a cookie is told of as such: only who holds it may give it one.
 *
 * SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */

void *bpf_rdonly_cast(const void *obj, __u32 btf_id) __ksym; /* Linux 6.2 and later */

#define CAST(type, address) ((type *)bpf_rdonly_cast((void *)(address), bpf_core_type_id_kernel(type)))

#define CHUNK 64   /* slots looked at together: as many as a word has bits. Tables have a multiple of it */
#define CHUNKS 128 /* in one run of the program, a millisecond: no other task has the processor */
#define ROOM 1024

/* What is found is not written to the iterator's own output, which keeps all of a task or nothing. The reader
 * takes it from here when a read ends, and makes room. */
__u32 recorded;
struct record records[ROOM];

/* The processes that the records are of, when all of their descriptors were visited. */
__u32 tallied;
struct tally tallies[ROOM + 1];

/* Where the walk goes on. The reader sets it to 0 before it begins. */
struct place {
	__u64 start; /* of the thread: another one can get its number */
	__u32 thread;
	__u32 next;
	__u32 open;
	__u32 told;
	__u32 attempts;
	__u32 unused;
} place;

/* The table of descriptors that is being visited. In memory, and not on the stack, so that the verifier looks at
 * each function once and not for each descriptor. */
struct table {
	__u64 task; /* addresses */
	__u64 files;
	__u64 fdt;
	__u64 slots;
	__u64 open_bits;
	__u64 start; /* of the process */
	__u32 pid;
	__u32 size;
	__u32 next; /* slot */
	__u32 open; /* descriptors before it */
	__u32 told; /* records */
	__u32 of_thread; /* it is not that of the process */
} table;

/* Memory that was freed can hold any number. An address of a user may not be read: not all processors refuse it. */
static __always_inline int in_kernel(__u64 address)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	return (__s64)address < 0;
#else
	return address != 0; /* s390 has the kernel there too, and refuses */
#endif
}

/* The functions of a socket (struct proto) stand beside its state. Where they are those of TCP, no more is read of
 * most sockets. */
static __always_inline __u16 protocol_of(struct sock *sk)
{
	__u64 functions = (__u64)sk->__sk_common.skc_prot;

	if (functions == tcp_functions[0] || functions == tcp_functions[1])
		return IPPROTO_TCP;
	return sk->sk_type == SOCK_RAW ? 0 : sk->sk_protocol;
}

static __always_inline int is_candidate(struct sock *sk, __u16 protocol)
{
	if (!is_ip(sk->__sk_common.skc_family))
		return 0;
	return protocol == IPPROTO_MPTCP || (protocol == IPPROTO_TCP && is_interesting(sk->__sk_common.skc_state));
}

/* Whether a file seems to have something to be told. Apart from the rest, and short, so that the processor
 * fetches many of them at once. */
__noinline __u32 seems_worth(__u64 address)
{
	struct file *file = CAST(struct file, address);
	__u64 socket, sk;

	if (!in_kernel(address) || (__u64)file->f_op != socket_operations)
		return 0;
	socket = (__u64)file->private_data;
	if (!in_kernel(socket))
		return 0;
	sk = (__u64)CAST(struct socket, socket)->sk;
	return in_kernel(sk) && is_candidate(CAST(struct sock, sk), protocol_of(CAST(struct sock, sk)));
}

__u64 fence;

/* What comes before is read before what comes after, on processors too that would not keep to that. An exchange, for
 * the compiler turns an addition of 0 into an instruction that arm64 need not keep in order. */
static __always_inline void order_reads(void)
{
	__sync_lock_test_and_set(&fence, 0);
}

/* A table is freed after its task has let go of it, a file after its slot is empty, and a socket after its file. Its
 * memory can be another socket's then, which has another cookie; one without cookie is only told of as such. */
static __always_inline int still_has(__u32 n, struct file *file, struct socket *socket, struct sock *sk, __u64 cookie)
{
	struct files_struct *files;

	order_reads();
	files = CAST(struct task_struct, table.task)->files;
	return (__u64)files == table.files && (__u64)files->fdt == table.fdt &&
	       (__u64)CAST(struct hlist_head, table.slots + n * sizeof(file))->first == (__u64)file && /* any structure of one pointer */
	       (__u64)file->f_op == socket_operations && file->private_data == socket && socket->sk == sk &&
	       sk->__sk_common.skc_cookie.counter == cookie;
}

static __always_inline int describe_walked(struct record *r, struct sock *sk, __u16 protocol)
{
	if (protocol == IPPROTO_MPTCP)
		return describe_mptcp(r, sk);
	r->state = sk->__sk_common.skc_state;
	return is_interesting(r->state) && describe_typed(r, sk, CAST(struct tcp_sock, sk));
}

__noinline int tell_of(__u64 address, __u32 n)
{
	struct file *file = CAST(struct file, address);
	struct socket *socket = CAST(struct socket, file->private_data);
	struct sock *sk = socket->sk;
	__u32 at = recorded;
	struct record *r;
	__u16 protocol;
	__u64 cookie;

	if (at >= ROOM || !in_kernel((__u64)socket) || !in_kernel((__u64)sk))
		return 0;
	cookie = sk->__sk_common.skc_cookie.counter;
	order_reads();
	protocol = protocol_of(sk);
	r = &records[at];
	__builtin_memset(r, 0, sizeof(*r));
	if (!is_candidate(sk, protocol) || !describe_walked(r, sk, protocol))
		return 0;
	if (r->state != TCP_LISTEN && protocol == IPPROTO_TCP) {
		r->cookie = cookie;
		r->unnamed = cookie ? 0 : table.of_thread ? 2 : 1;
	}
	r->inode = file->f_inode->i_ino;
	r->fd = n;
	r->pid = table.pid;
	r->start = table.start;
	if (still_has(n, file, socket, sk, cookie)) {
		recorded = at + 1;
		table.told++;
	}
	return 0;
}

static __always_inline __u32 count_bits(__u64 word)
{
	word -= word >> 1 & 0x5555555555555555;
	word = (word & 0x3333333333333333) + (word >> 2 & 0x3333333333333333);
	return ((word + (word >> 4)) & 0x0f0f0f0f0f0f0f0f) * 0x0101010101010101 >> 56;
}

/* The files in the slots that are being looked at: too many for the stack. */
__u64 chunk[CHUNK];

static __always_inline void visit_files(void)
{
	__u64 worth = 0;

	for (int i = 0; i < CHUNK; i++)
		worth |= (__u64)seems_worth(chunk[i]) << i;
	if (!worth)
		return;
	for (int i = 0; i < CHUNK; i++)
		if (worth >> i & 1)
			tell_of(chunk[i], table.next + i);
}

static long visit_chunk(__u32 n, void *context)
{
	__u64 open;

	if (table.next >= table.size || recorded > ROOM - CHUNK)
		return 1;
	if (bpf_probe_read_kernel(&open, sizeof(open), (void *)(table.open_bits + table.next / 8)) ||
	    (open && bpf_probe_read_kernel(chunk, sizeof(chunk), (void *)(table.slots + table.next * sizeof(chunk[0]))))) {
		table.next = table.size; /* it was freed */
		return 1;
	}
	if (open)
		visit_files();
	table.open += count_bits(open);
	table.next += CHUNK;
	return 0;
}

static __always_inline void tally(void)
{
	struct tally *to;

	if (!table.told || table.of_thread || tallied > ROOM)
		return;
	to = &tallies[tallied++];
	to->start = table.start;
	to->pid = table.pid;
	to->open = table.open;
}

/* 0 where there is nothing to visit. */
static __always_inline int find_table(struct task_struct *task)
{
	struct task_struct *leader = task->group_leader;
	struct files_struct *files = task->files;

	if (!files || (task != leader && files == leader->files))
		return 0;
	table.task = (__u64)task;
	table.files = (__u64)files;
	table.start = leader->start_boottime;
	table.pid = pid_of(leader);
	table.of_thread = task != leader;
	bpf_probe_read_kernel(&table.fdt, sizeof(table.fdt), &files->fdt);
	if (!table.pid || !in_kernel(table.fdt)) /* it has ended just now */
		return 0;
	table.slots = (__u64)CAST(struct fdtable, table.fdt)->fd;
	table.open_bits = (__u64)CAST(struct fdtable, table.fdt)->open_fds;
	table.size = CAST(struct fdtable, table.fdt)->max_fds;
	table.next = place.next;
	table.open = place.open;
	table.told = place.told;
	return 1;
}

/* Whether the task has another table by now: this one has grown, or was shared with another process. */
static __always_inline int has_another(struct task_struct *task)
{
	struct files_struct *files = task->files;

	return files && ((__u64)files != table.files || (__u64)files->fdt != table.fdt);
}

#define ATTEMPTS 8 /* who moves his table again and again cannot hold up the walk */

/* Linux 6.2 and later. */
SEC("iter/task")
int walk(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	__u32 before = recorded;

	find_level(ctx->meta);
	if (!task)
		return 0;
	if (place.thread != task->pid || place.start != task->start_boottime)
		place = (struct place){.thread = task->pid, .start = task->start_boottime};
	if (!find_table(task))
		return 0;
	bpf_loop(CHUNKS, visit_chunk, 0, 0);
	if (has_another(task) && place.attempts < ATTEMPTS) {
		place.attempts++;
		recorded = before;
		return 1; /* the read ends, and the next one begins with this task */
	}
	if (table.next >= table.size) {
		tally();
		return 0;
	}
	place.next = table.next;
	place.open = table.open;
	place.told = table.told;
	place.attempts = 0;
	return 1;
}
