// What a program does when nothing but the compiler and the kernel's nolibc
// stands below it. Its output is compared with expected.txt, which does not
// depend on the word's size or the byte order; its exit code is its argument.
// Compiled with a full C library it prints the same.
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef uint64_t wide;

static void show(const char *what, wide value) { printf("%s %llx\n", what, (unsigned long long)value); }

// volatile: the program computes, not the compiler.
static volatile wide a = 0x123456789abcdef0ull, b = 0x1234567ull;
static volatile int64_t c = -0x123456789abcdefll, d = 12345;
static volatile uint32_t m = 0xfedcba98u, n = 13;
static volatile int32_t s = -1000003;
static volatile double x = 1.5, y = -2.25;
static volatile float f = 0.75f;
#if defined(__sparc__) && defined(__arch64__)
// The helpers for its long double are the C library's by the ABI, not libgcc's.
typedef double longest;
#else
typedef long double longest;
#endif
static volatile longest l = 2.75;

static wide high_half(wide left, wide right) {
#ifdef __SIZEOF_INT128__
	return (wide)(((unsigned __int128)left * right) >> 64);
#else
	wide low = (left & 0xffffffff) * (right & 0xffffffff);
	wide one = (left >> 32) * (right & 0xffffffff) + (low >> 32);
	wide two = (left & 0xffffffff) * (right >> 32) + (one & 0xffffffff);
	return (left >> 32) * (right >> 32) + (one >> 32) + (two >> 32);
#endif
}

// The low half of a 128-bit number's quotient.
static wide divide_long(wide high, wide low, wide by) {
#ifdef __SIZEOF_INT128__
	return (wide)(((unsigned __int128)high << 64 | low) / by);
#else
	wide quotient = 0, rest = 0;
	for (int bit = 127; bit >= 0; bit--) {
		int carry = (int)(rest >> 63);
		rest = rest << 1 | ((bit >= 64 ? high >> (bit - 64) : low >> bit) & 1);
		quotient <<= 1;
		if (carry || rest >= by) {
			rest -= by;
			quotient |= 1;
		}
	}
	return quotient;
#endif
}

static void arithmetic(void) {
	show("udiv64", a / b);
	show("umod64", a % b);
	show("sdiv64", (wide)(c / d));
	show("smod64", (wide)(c % d));
	show("mul64", a * b);
	show("high", high_half(a, a));
	show("div128", divide_long(b, a, a ^ b));
	show("shl64", a << n);
	show("shr64", a >> n);
	show("sar64", (wide)(c >> n));
	show("rotate", (a << n) | (a >> (64 - n)));
	show("udiv32", m / n);
	show("umod32", m % n);
	show("sdiv32", (wide)(int64_t)(s / (int32_t)n));
	show("smod32", (wide)(int64_t)(s % (int32_t)n));
	show("popcount", (wide)__builtin_popcountll(a));
	show("clz", (wide)__builtin_clzll(b));
	show("ctz", (wide)__builtin_ctzll(a));
	show("bswap", __builtin_bswap64(a));
}

static void floating(void) {
	show("fadd", (wide)(int64_t)((x + y) * 1024));
	show("fmul", (wide)(int64_t)(x * y * f * 65536));
	show("fdiv", (wide)(int64_t)(y / f * 256));
	show("fcmp", (wide)((x > y) + 2 * (x == y) + 4 * (f < x)));
	show("u64tod", (wide)((double)(a >> 20) + 0.5));
	show("stod", (wide)(int64_t)(double)s);
	// Exact in each of the formats that a long double has.
	show("long", (wide)(int64_t)(l * 12 + l / 4 - x));
	show("dtof", (wide)(int64_t)((float)(x * 3) * 2));
}

// More arguments than any machine passes in registers, of every class.
static wide variadic(const char *kinds, ...) {
	va_list list, again;
	wide sum = 0;
	va_start(list, kinds);
	va_copy(again, list);
	for (const char *kind = kinds; *kind; kind++) {
		switch (*kind) {
		case 'i': sum = sum * 31 + (wide)(int64_t)va_arg(list, int); break;
		case 'u': sum = sum * 31 + va_arg(list, unsigned int); break;
		case 'w': sum = sum * 31 + va_arg(list, wide); break;
		case 'd': sum = sum * 31 + (wide)(int64_t)(va_arg(list, double) * 16); break;
		case 's': sum = sum * 31 + strlen(va_arg(list, const char *)); break;
		}
	}
	sum += (wide)va_arg(again, int);
	va_end(again);
	va_end(list);
	return sum;
}

static wide choose(unsigned int which) {
	switch (which) {
	case 0: return 11;
	case 1: return a;
	case 2: return b + which;
	case 3: return 3 * b;
	case 4: return 0xfeed;
	case 5: return (wide)c;
	case 6: return m;
	case 7: return 77;
	case 1000: return 1;
	case 100000: return 2;
	default: return ~(wide)0;
	}
}

static int plus(int one, int two) { return one + two; }
static int minus(int one, int two) { return one - two; }
static int times(int one, int two) { return one * two; }
static int (*const operations[])(int, int) = {plus, minus, times};

static unsigned int ackermann(unsigned int one, unsigned int two) {
	if (one == 0) return two + 1;
	if (two == 0) return ackermann(one - 1, 1);
	return ackermann(one - 1, ackermann(one, two - 1));
}

static unsigned int interpret(const unsigned char *code) {
	static void *const labels[] = {&&stop, &&increment, &&twice, &&again};
	unsigned int value = 1, rounds = 3;
	const unsigned char *at = code;
	goto *labels[*at];
increment:
	value++;
	goto *labels[*++at];
twice:
	value *= 2;
	goto *labels[*++at];
again:
	at = --rounds ? code : at + 1;
	goto *labels[*at];
stop:
	return value;
}

struct small { int16_t one; char two; };
struct large { wide words[9]; double number; };

static struct small swap_small(struct small given) { return (struct small){given.two, (char)given.one}; }

static struct large turn_large(struct large given, int by) {
	struct large turned = {.number = given.number * by};
	for (int i = 0; i < 9; i++) turned.words[(i + by) % 9] = given.words[i];
	return turned;
}

static void sort(int *numbers, int count, int (*less)(int, int)) {
	for (int i = 1; i < count; i++)
		for (int j = i; j > 0 && less(numbers[j], numbers[j - 1]); j--) {
			int kept = numbers[j];
			numbers[j] = numbers[j - 1];
			numbers[j - 1] = kept;
		}
}

static int below(int one, int two) { return one < two; }
static int above(int one, int two) { return one > two; }

static wide on_the_stack(int count) {
	wide sum = 0;
	unsigned char bytes[count];
	for (int i = 0; i < count; i++) bytes[i] = (unsigned char)(i * i);
	for (int i = 0; i < count; i++) sum = sum * 3 + bytes[i];
	return sum;
}

static void control(void) {
	static const unsigned int which[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 1000, 100000};
	static const unsigned char code[] = {1, 2, 3, 2, 0};
	wide sum = 0;
	for (unsigned int i = 0; i < sizeof(which) / sizeof(*which); i++) sum = sum * 7 + choose(which[i]);
	show("switch", sum);
	sum = 0;
	for (int i = 0; i < 9; i++) sum = sum * 5 + (wide)(int64_t)operations[i % 3](i, (int)n);
	show("pointers", sum);
	show("recursion", ackermann(2, 5));
	show("labels", interpret(code));
	struct small little = swap_small((struct small){-5, 100});
	show("small", (wide)(int64_t)(little.one * 1000 + (signed char)little.two));
	struct large big = {.number = 2.5};
	for (int i = 0; i < 9; i++) big.words[i] = a + (wide)i;
	big = turn_large(big, 4);
	show("large", big.words[0] * 3 + big.words[8] + (wide)(big.number * 2));
	int numbers[] = {5, -3, 99, 0, 42, -3, 7};
	sum = 0;
	sort(numbers, 7, below);
	for (int i = 0; i < 7; i++) sum = sum * 101 + (wide)(int64_t)numbers[i];
	sort(numbers, 7, above);
	for (int i = 0; i < 7; i++) sum = sum * 101 + (wide)(int64_t)numbers[i];
	show("sort", sum);
	show("stack", on_the_stack((int)n * 7));
}

int main(int argc, char **argv) {
	if (argc != 3 || strcmp(argv[2], "second") != 0) {
		printf("arguments %d\n", argc);
		return 99;
	}
	arithmetic();
	floating();
	show("varargs", variadic("iwdsuiwdiwdswdiuwd", -1, a, 1.5, "four", 7u, 12, b, -2.25, 3, (wide)c, 0.0625, "", a ^ b,
				 100.0, -7, 0xffffffffu, (wide)1, -0.5));
	control();
	void *kept = malloc(1000);
	memset(kept, 0x5a, 1000);
	show("malloc", ((unsigned char *)kept)[999]);
	free(kept);
	printf("end %s\n", argv[2]);
	return atoi(argv[1]);
}
