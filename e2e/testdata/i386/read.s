# A program for 32-bit processors that keeps the descriptors which it was given, and ends with stdin.
	.globl	_start
_start:
	movl	$3, %eax	# read
	xorl	%ebx, %ebx
	movl	$buffer, %ecx
	movl	$1, %edx
	int	$0x80
	testl	%eax, %eax
	jg	_start
	movl	$1, %eax	# exit
	xorl	%ebx, %ebx
	int	$0x80
	.bss
buffer:	.space	4
