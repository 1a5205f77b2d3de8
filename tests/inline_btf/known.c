/* Inlining whose results the compiler has no choice about. */
struct pair { long a, b; };
extern void sink(long, ...);

static inline __attribute__((always_inline)) void constant(int number) { sink(number); }
static inline __attribute__((always_inline)) void value(long in_register) { sink(in_register); }
static inline __attribute__((always_inline)) void both(struct pair pair) { sink(pair.a, pair.b); }
static inline __attribute__((always_inline)) void variadic_user(const char *format) { sink((long)format); }
static inline __attribute__((always_inline)) void inner(long depth) { sink(depth); }
static inline __attribute__((always_inline)) void outer(long depth) { inner(depth); }
static inline __attribute__((always_inline)) void cold(long unlikely)
{
	if (__builtin_expect(unlikely == 7, 0)) {
		sink(1, 2, 3);
		sink(4, 5, 6);
	}
	sink(unlikely + 1);
}

__attribute__((noinline)) void use_constant(void) { constant(42); }
__attribute__((noinline)) void use_register(long argument) { value(argument); }
__attribute__((noinline)) void use_pair(struct pair argument) { both(argument); }
__attribute__((noinline)) void use_variadic(void) { variadic_user("format"); }
__attribute__((noinline)) void use_nested(long argument) { outer(argument); }
__attribute__((noinline)) void use_cold(long argument) { cold(argument); }
