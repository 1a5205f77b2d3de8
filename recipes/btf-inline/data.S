/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* The section .BTF.inline as `crossmill inline-btf generate` writes it, and its size. */
	.section .rodata, "a"
	.balign 16
	.globl btf_inline_data
btf_inline_data:
	.incbin "vmlinux.BTF.inline"
1:
	/* A symbol at an odd address would be none that s390 can refer to. */
	.balign 16
	.globl btf_inline_size
btf_inline_size:
	.long 1b - btf_inline_data
