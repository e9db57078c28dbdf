# A program for 32-bit processors that accepts a connection from the listener 3 for each line of
# stdin, reads it to its end, does not close it, and answers with a line.
	.globl	_start
_start:
	movl	$3, %eax	# read
	xorl	%ebx, %ebx
	movl	$buffer, %ecx
	movl	$64, %edx
	int	$0x80
	testl	%eax, %eax
	jle	exit
	movl	$364, %eax	# accept4
	movl	$3, %ebx
	xorl	%ecx, %ecx
	xorl	%edx, %edx
	xorl	%esi, %esi
	int	$0x80
	movl	%eax, %edi
	call	drain
	movl	$4, %eax	# write
	movl	$1, %ebx
	movl	$answer, %ecx
	movl	$2, %edx
	int	$0x80
	jmp	_start
exit:
	movl	$1, %eax	# exit
	xorl	%ebx, %ebx
	int	$0x80
	.type	drain, @function
drain:
	movl	$3, %eax	# read
	movl	%edi, %ebx
	movl	$buffer, %ecx
	movl	$64, %edx
	int	$0x80
	testl	%eax, %eax
	jg	drain
	ret
	.size	drain, .-drain
	.data
answer:	.ascii	"1\n"
	.bss
buffer:	.space	64
