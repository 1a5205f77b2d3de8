// System calls and the entry of programs for machines that the kernel's own nolibc does
// not know: in place of its arch.h. Read with -include, before nolibc.h.
//
// Where the conventions are written down:
//   alpha       arch/alpha/kernel/entry.S: number in $0, arguments in $16 to $21; $19 is the error flag
//   microblaze  arch/microblaze/kernel/entry.S: number in r12, arguments in r5 to r10; result in r3
//   xtensa      arch/xtensa/kernel/entry.S: number in a2, arguments in a6, a3, a4, a5, a8, a9; result in a2
// At the entry the stack pointer is at argc on all of them (fs/binfmt_elf.c, create_elf_tables).
#ifndef _NOLIBC_ARCH_H
#define _NOLIBC_ARCH_H

#include <compiler.h>
#include <crt.h>

// Arguments that a call does not have are passed as 0: no call looks at them.
static __inline__ long crossmill_syscall(long number, long one, long two, long three, long four, long five, long six)
{
#if defined(__alpha__)
	register long v0 __asm__("$0") = number;
	register long a0 __asm__("$16") = one;
	register long a1 __asm__("$17") = two;
	register long a2 __asm__("$18") = three;
	register long a3 __asm__("$19") = four;
	register long a4 __asm__("$20") = five;
	register long a5 __asm__("$21") = six;
	__asm__ volatile("callsys"
			 : "+r"(v0), "+r"(a0), "+r"(a1), "+r"(a2), "+r"(a3), "+r"(a4), "+r"(a5)
			 :
			 : "$1", "$2", "$3", "$4", "$5", "$6", "$7", "$8", "$22", "$23", "$24", "$25", "$27", "$28",
			   "memory");
	return a3 ? -v0 : v0;
#elif defined(__microblaze__)
	register long r12 __asm__("r12") = number;
	register long r5 __asm__("r5") = one;
	register long r6 __asm__("r6") = two;
	register long r7 __asm__("r7") = three;
	register long r8 __asm__("r8") = four;
	register long r9 __asm__("r9") = five;
	register long r10 __asm__("r10") = six;
	register long r3 __asm__("r3");
	__asm__ volatile("brki r14, 0x8"
			 : "=r"(r3), "+r"(r12), "+r"(r5), "+r"(r6), "+r"(r7), "+r"(r8), "+r"(r9), "+r"(r10)
			 :
			 : "r4", "r11", "r14", "memory");
	return r3;
#elif defined(__XTENSA__)
	register long a2 __asm__("a2") = number;
	register long a6 __asm__("a6") = one;
	register long a3 __asm__("a3") = two;
	register long a4 __asm__("a4") = three;
	register long a5 __asm__("a5") = four;
	register long a8 __asm__("a8") = five;
	register long a9 __asm__("a9") = six;
	__asm__ volatile("syscall" : "+r"(a2) : "r"(a6), "r"(a3), "r"(a4), "r"(a5), "r"(a8), "r"(a9) : "memory");
	return a2;
#else
#error Unsupported Architecture
#endif
}

#define __nolibc_syscall6(number, one, two, three, four, five, six) \
	crossmill_syscall(number, (long)(one), (long)(two), (long)(three), (long)(four), (long)(five), (long)(six))
#define __nolibc_syscall5(number, one, two, three, four, five) __nolibc_syscall6(number, one, two, three, four, five, 0)
#define __nolibc_syscall4(number, one, two, three, four) __nolibc_syscall5(number, one, two, three, four, 0)
#define __nolibc_syscall3(number, one, two, three) __nolibc_syscall4(number, one, two, three, 0)
#define __nolibc_syscall2(number, one, two) __nolibc_syscall3(number, one, two, 0)
#define __nolibc_syscall1(number, one) __nolibc_syscall2(number, one, 0)
#define __nolibc_syscall0(number) __nolibc_syscall1(number, 0)

// Their names in older kernels.
#define my_syscall6 __nolibc_syscall6
#define my_syscall5 __nolibc_syscall5
#define my_syscall4 __nolibc_syscall4
#define my_syscall3 __nolibc_syscall3
#define my_syscall2 __nolibc_syscall2
#define my_syscall1 __nolibc_syscall1
#define my_syscall0 __nolibc_syscall0

#if defined(__alpha__)
#include "alpha-divide.h"
__asm__(".text\n"
	".weak _start\n"
	"_start:\n"
	"	br	$29, 1f\n"
	"1:	ldgp	$29, 0($29)\n"
	"	mov	$30, $16\n"
	"	jsr	$26, _start_c\n");
#elif defined(__microblaze__)
// The callee may store the six registers of its arguments above its frame.
__asm__(".text\n"
	".weak _start\n"
	"_start:\n"
	"	addk	r5, r1, r0\n"
	"	addik	r1, r1, -28\n"
	"	brlid	r15, _start_c\n"
	"	addk	r19, r0, r0\n");
#elif defined(__XTENSA__)
// The window turns by four: the caller's a6 is the callee's a2. No caller is above this one.
__asm__(".text\n"
	".align 4\n"
	".weak _start\n"
	"_start:\n"
	"	movi	a0, 0\n"
	"	mov	a6, a1\n"
	"	call4	_start_c\n");
#endif

#endif
