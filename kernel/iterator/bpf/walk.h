/* The same records as those of the iterator over files, for a third of its price: the table of descriptors is
 * read as it lies in memory. The iterator takes and drops a lock and a reference for each descriptor, which costs
 * more than all the rest, and keeps the processor from fetching several at once.
 *
 * Nothing that is read is held, so that everything can be freed and used anew meanwhile. Reads
 * are safe all the same (bpf_rdonly_cast: what is not there reads as 0), and before a record counts it is made
 * sure that the process still had that descriptor, and it that socket, after the last of them. A socket without a
 * cookie is told of as such: only who holds it may give it one.
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
} place;

/* The table of descriptors that is being visited. In memory, and not on the stack, so that the verifier looks at
 * each function once and not for each descriptor. */
struct table {
	__u64 task; /* addresses */
	__u64 files;
	__u64 slots;
	__u64 open_bits;
	__u64 start; /* of the process */
	__u32 pid;
	__u32 size;
	__u32 next; /* slot */
	__u32 open; /* descriptors before it */
	__u32 told; /* records */
} table;

/* The functions of a socket (struct proto) stand beside its state. Where they are those of TCP, no more is read of
 * most sockets. */
static __always_inline __u16 protocol_of(struct sock *sk)
{
	__u64 functions = (__u64)sk->__sk_common.skc_prot;

	if (functions == tcp_functions[0] || functions == tcp_functions[1])
		return IPPROTO_TCP;
	return sk->sk_protocol;
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
	struct sock *sk;

	if (!address || (__u64)file->f_op != socket_operations)
		return 0;
	sk = CAST(struct socket, file->private_data)->sk;
	return is_candidate(sk, protocol_of(sk));
}

/* A table is freed after its task has let go of it, a file after its slot is empty, and a socket after its file. Its
 * memory can be another socket's then, which has another cookie. */
static __always_inline int still_has(__u32 n, struct file *file, struct socket *socket, struct sock *sk, __u64 cookie)
{
	struct files_struct *files = CAST(struct task_struct, table.task)->files;
	__u64 slot = table.slots + n * sizeof(struct file *);

	return (__u64)files == table.files && (__u64)files->fdt->fd == table.slots &&
	       (__u64)CAST(struct hlist_head, slot)->first == (__u64)file && /* any structure of one pointer */
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
	__u64 cookie = sk->__sk_common.skc_cookie.counter;
	__u16 protocol = protocol_of(sk);
	__u32 at = recorded;
	struct record *r;

	if (at >= ROOM)
		return 0;
	r = &records[at];
	__builtin_memset(r, 0, sizeof(*r));
	if (!is_candidate(sk, protocol) || !describe_walked(r, sk, protocol))
		return 0;
	if (r->state != TCP_LISTEN && protocol == IPPROTO_TCP) {
		r->cookie = cookie;
		r->unnamed = !cookie;
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

static __always_inline void tally(struct task_struct *task)
{
	struct tally *to;

	if (!table.told || task != task->group_leader || (__u64)task->files != table.files || tallied > ROOM)
		return;
	to = &tallies[tallied++];
	to->start = table.start;
	to->pid = table.pid;
	to->open = table.open;
}

/* Linux 6.2 and later. */
SEC("iter/task")
int walk(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task, *leader;
	struct files_struct *files;

	find_level(ctx->meta);
	if (!task)
		return 0;
	leader = task->group_leader;
	files = task->files;
	if (!files || (task != leader && files == leader->files))
		return 0;
	table.task = (__u64)task;
	table.files = (__u64)files;
	table.slots = (__u64)files->fdt->fd;
	table.open_bits = (__u64)files->fdt->open_fds;
	table.size = files->fdt->max_fds;
	table.start = leader->start_boottime;
	table.pid = pid_of(leader);
	if (!table.pid) /* it has ended just now */
		return 0;
	if (place.thread != task->pid || place.start != task->start_boottime)
		place = (struct place){.thread = task->pid, .start = task->start_boottime};
	table.next = place.next;
	table.open = place.open;
	table.told = place.told;
	bpf_loop(CHUNKS, visit_chunk, 0, 0);
	if (table.next >= table.size) {
		tally(task);
		return 0;
	}
	place.next = table.next;
	place.open = table.open;
	place.told = table.told;
	return 1; /* the read ends, and the next one begins with this task */
}
