/* The records of stacks.bpf.c, as Go reads them: every byte belongs to a field, in host byte order.
 *
 * SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
#pragma once

#include "record.h"

#define MAX_FRAMES 64 /* of a stack */
#define MAX_STACKS 16384 /* slots of the table of stacks; of two stacks with one slot, the second is lost */

/* The calls at which a socket was first seen, or at which its end was seen. */
enum { CALL_NONE = 0, CALL_CONNECT = 1, CALL_ACCEPT = 2, CALL_READ = 3, CALL_WRITE = 4 };

/* What is remembered of a socket. It is freed together with the socket, or when the trace ends. */
struct birth {
	__s32 stack; /* number in stacks; negative: an error number, there is none */
	__s32 end_stack; /* of the first read or write after the end of the connection */
	__u32 thread; /* that was seen first, in the first pid namespace */
	__u8 call;
	__u8 end_call; /* CALL_NONE: the end was not seen by the program */
	__u8 unused[2];
	__u8 comm[16]; /* of the thread; ends with a 0 */
};

/* A descriptor of a TCP socket of the traced process. */
struct traced {
	struct record socket;
	struct birth birth; /* call is CALL_NONE: none was seen */
};

/* See record.h. */
const struct traced *described_traced __attribute__((unused));
