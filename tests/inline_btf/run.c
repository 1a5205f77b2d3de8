/* Each inline function hands its parameters on to record(), where the calling
 * convention says where they are: the truth that locations are held against. */
#include <stdlib.h>

struct pair { long a, b; };

__attribute__((noinline, noipa)) void record(long id, long first, long second)
{
	__asm__ volatile("" :: "r"(id), "r"(first), "r"(second) : "memory");
}

__attribute__((noinline, noipa)) long opaque(long value) { return value; }

static inline __attribute__((always_inline)) void numbers(int first, long second) { record(1, first, second); }
static inline __attribute__((always_inline)) void bytes(unsigned char first, short second) { record(2, first, second); }
static inline __attribute__((always_inline)) void whole(struct pair both) { record(3, both.a, both.b); }
static inline __attribute__((always_inline)) void slots(long first, long second)
{
	/* Their addresses are taken, so they live on the stack. */
	__asm__ volatile("" :: "r"(&first), "r"(&second) : "memory");
	record(4, first, second);
}
static inline __attribute__((always_inline)) void inner(long first, long second) { record(5, first, second); }
static inline __attribute__((always_inline)) void outer(long first, long second)
{
	inner(first, second);
	record(6, first, second);
}

__attribute__((noinline, noipa)) static void all(int number, struct pair both)
{
	numbers(number, both.a);
	numbers(-7, 1L << 40);
	numbers(number + 3, both.b - 9);
	bytes((unsigned char)number, (short)-5);
	whole(both);
	slots(both.a + 1, both.b);
	outer(both.b, number);
	outer(number, -1);
	for (long round = opaque(0); round < 4; round++) {
		numbers((int)round, both.a + round);
		if (round == 2)
			outer(round, both.b);
	}
}

int main(int argc, char **argv)
{
	(void)argv;
	all(argc + 40, (struct pair){ opaque(0x1122334455667788), opaque(-3) });
	return 0;
}
