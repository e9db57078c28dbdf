/* Writes the same records as the iterator over files, at a lower cost (docs/PERFORMANCE.md): it
 * reads the table of descriptors directly from memory. The iterator over files takes and drops a
 * lock and a reference for each descriptor. That costs more than all the rest, and keeps the
 * processor from fetching several descriptors at once.
 *
 * Nothing that is read is locked. A program runs within rcu_read_lock, so memory that is freed
 * by RCU keeps its content: a table that was replaced by a larger one, struct socket with its
 * inode, files before Linux 6.7. The table of a process that ends, later files, and struct sock
 * can be freed and used again in the meantime. Reads are safe all the same (bpf_rdonly_cast:
 * memory that is not mapped reads as 0). Before a record counts, the program checks that the
 * process still had that descriptor, and the descriptor that socket, after the last read. A
 * socket without a cookie is marked in its record: only a program that holds a reference to a
 * socket may give it a cookie.
 *
 * SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */

void *bpf_rdonly_cast(const void *obj, __u32 btf_id) __ksym; /* Linux 6.2 and later */

#define CAST(type, address) ((type *)bpf_rdonly_cast((void *)(address), bpf_core_type_id_kernel(type)))

#define CHUNK 64   /* slots read together: the bits of a word. Table sizes are a multiple */
#define CHUNKS 128 /* in one run of the program: a millisecond, in which no other task runs */
#define MAX_RECORDS 1024

/* Records are not written to the output of the iterator, because a full buffer would discard all
 * output of a task. The reader takes them from here at the end of a read, and sets their number
 * to 0. */
__u32 records_used;
struct record records[MAX_RECORDS];

/* The numbers of descriptors of processes that have records and were visited completely. */
__u32 fd_counts_used;
struct fd_count fd_counts[MAX_RECORDS + 1];

/* Where the walk continues after a read that ended within a task. The reader clears it before the
 * walk. */
struct position {
	__u64 start; /* of the thread, because thread ids are used again */
	__u32 thread;
	__u32 next;
	__u32 open;
	__u32 reported;
	__u32 attempts;
	__u32 unused;
} position;

/* The table of descriptors that is being visited. It is in memory and not on the stack, so that
 * the verifier checks each function once and not for each descriptor. */
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
	__u32 reported; /* records */
	__u32 of_thread; /* it is not the table of the leader */
} table;

/* Freed memory can hold any number. User addresses must not be read, which not all processors
 * prevent. */
static __always_inline int in_kernel(__u64 address)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	return (__s64)address < 0;
#else
	return address != 0; /* s390 has separate address spaces, and prevents it */
#endif
}

/* The pointer to the functions of a socket (struct proto) is next to its state. If they are the
 * functions of TCP, nothing else of most sockets is read. */
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
	if (protocol != IPPROTO_TCP && protocol != IPPROTO_MPTCP)
		return 0;
	return is_interesting(sk->__sk_common.skc_state) ||
	       (protocol == IPPROTO_MPTCP && sk->__sk_common.skc_state == TCP_ESTABLISHED); /* describe_mptcp */
}

/* Whether a file may be a socket of interest. Separate from the rest, and short, so that the
 * processor fetches many files at once. */
__noinline __u32 maybe_interesting(__u64 address)
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

/* Orders the reads before it and after it, also on processors that reorder reads. It is an
 * exchange, because the compiler turns an addition of 0 into an instruction that does not order
 * reads on arm64. */
static __always_inline void order_reads(void)
{
	__sync_lock_test_and_set(&fence, 0);
}

/* Whether a slot still has that file, and the file that socket. A table is freed after its task
 * has released it, a file after its slot is empty, and a socket after its file. The memory can
 * then belong to another socket, which has another cookie, or none, as the record says then. */
static __always_inline int still_has(__u32 n, struct file *file, struct socket *socket, struct sock *sk, __u64 cookie)
{
	struct files_struct *files;

	order_reads();
	files = CAST(struct task_struct, table.task)->files;
	return (__u64)files == table.files && (__u64)files->fdt == table.fdt &&
	       (__u64)CAST(struct hlist_head, table.slots + n * sizeof(file))->first == (__u64)file && /* any one-pointer structure */
	       (__u64)file->f_op == socket_operations && file->private_data == socket && socket->sk == sk &&
	       sk->__sk_common.skc_cookie.counter == cookie;
}

static __always_inline int describe_walked(struct record *r, struct sock *sk, __u16 protocol)
{
	if (protocol == IPPROTO_MPTCP)
		return describe_mptcp(r, sk);
	r->state = sk->__sk_common.skc_state;
	if (!is_interesting(r->state))
		return 0;
	describe_typed(r, sk, CAST(struct tcp_sock, sk));
	return 1;
}

__noinline int report(__u64 address, __u32 n)
{
	struct file *file = CAST(struct file, address);
	struct socket *socket = CAST(struct socket, file->private_data);
	struct sock *sk = socket->sk;
	__u32 at = records_used;
	struct record *r;
	__u16 protocol;
	__u64 cookie;

	if (at >= MAX_RECORDS || !in_kernel((__u64)socket) || !in_kernel((__u64)sk))
		return 0;
	cookie = sk->__sk_common.skc_cookie.counter;
	order_reads();
	protocol = protocol_of(sk);
	r = &records[at];
	__builtin_memset(r, 0, sizeof(*r));
	if (!is_candidate(sk, protocol) || !describe_walked(r, sk, protocol))
		return 0;
	if (r->state != TCP_LISTEN) {
		r->cookie = cookie;
		r->cookieless = cookie ? 0 : table.of_thread ? 2 : 1;
	}
	r->inode = file->f_inode->i_ino;
	r->fd = n;
	r->pid = table.pid;
	r->start = table.start;
	if (still_has(n, file, socket, sk, cookie)) {
		records_used = at + 1;
		table.reported++;
	}
	return 0;
}

static __always_inline __u32 count_bits(__u64 word)
{
	word -= word >> 1 & 0x5555555555555555;
	word = (word & 0x3333333333333333) + (word >> 2 & 0x3333333333333333);
	return ((word + (word >> 4)) & 0x0f0f0f0f0f0f0f0f) * 0x0101010101010101 >> 56;
}

/* The files in the slots that are being read. They do not fit on the stack. */
__u64 chunk[CHUNK];

static __always_inline void visit_files(void)
{
	__u64 interesting = 0;

	for (int i = 0; i < CHUNK; i++)
		interesting |= (__u64)maybe_interesting(chunk[i]) << i;
	if (!interesting)
		return;
	for (int i = 0; i < CHUNK; i++)
		if (interesting >> i & 1)
			report(chunk[i], table.next + i);
}

static long visit_chunk(__u32 n, void *context)
{
	__u64 open;

	if (table.next >= table.size || records_used > MAX_RECORDS - CHUNK)
		return 1;
	if (bpf_probe_read_kernel(&open, sizeof(open), (void *)(table.open_bits + table.next / 8)) ||
	    (open && bpf_probe_read_kernel(chunk, sizeof(chunk), (void *)(table.slots + table.next * sizeof(chunk[0]))))) {
		table.next = table.size; /* the table was freed */
		return 1;
	}
	if (open)
		visit_files();
	table.open += count_bits(open);
	table.next += CHUNK;
	return 0;
}

static __always_inline void report_fd_count(void)
{
	struct fd_count *to;

	if (!table.reported || table.of_thread || fd_counts_used > MAX_RECORDS)
		return;
	to = &fd_counts[fd_counts_used++];
	to->start = table.start;
	to->pid = table.pid;
	to->open = table.open;
}

/* Fills in table. Returns 0 if there is nothing to visit. */
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
	if (!table.pid || !in_kernel(table.fdt)) /* the process has just ended */
		return 0;
	table.slots = (__u64)CAST(struct fdtable, table.fdt)->fd;
	table.open_bits = (__u64)CAST(struct fdtable, table.fdt)->open_fds;
	table.size = CAST(struct fdtable, table.fdt)->max_fds;
	table.next = position.next;
	table.open = position.open;
	table.reported = position.reported;
	return 1;
}

/* Whether the task has another table now: the old table had to grow, or was shared with another
 * process. */
static __always_inline int has_another(struct task_struct *task)
{
	struct files_struct *files = task->files;

	return files && ((__u64)files != table.files || (__u64)files->fdt != table.fdt);
}

#define ATTEMPTS 8 /* a process that replaces its table again and again must not delay the walk */

/* Linux 6.2 and later. */
SEC("iter/task")
int walk(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	__u32 before = records_used;

	find_level(ctx->meta);
	if (!task)
		return 0;
	if (position.thread != task->pid || position.start != task->start_boottime)
		position = (struct position){.thread = task->pid, .start = task->start_boottime};
	if (!find_table(task))
		return 0;
	bpf_loop(CHUNKS, visit_chunk, 0, 0);
	if (has_another(task) && position.attempts < ATTEMPTS) {
		position.attempts++;
		records_used = before;
		return 1; /* the read ends, and the next read begins with this task */
	}
	if (table.next >= table.size) {
		report_fd_count();
		return 0;
	}
	position.next = table.next;
	position.open = table.open;
	position.reported = table.reported;
	position.attempts = 0;
	return 1;
}
