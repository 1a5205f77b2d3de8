/* As much of a kernel as definitions of probes depend on. */
const char linux_banner[] = "Linux version 7.2.0";
#ifndef NO_KPROBES
int register_kprobe(void) { return 0; }
#endif
extern void sink(long, ...);
struct pair { long a, b; };
struct five { char bytes[5]; };

static inline __attribute__((always_inline)) void take(int *where, unsigned char small) { sink((long)where, small); }
static inline __attribute__((always_inline)) void fixed(int number) { sink(number); }
static inline __attribute__((always_inline)) void both(struct pair pair) { sink(pair.a, pair.b); }
static inline __attribute__((always_inline)) void early(long argument) { sink(argument); }
static inline __attribute__((always_inline)) void guarded(long argument) { sink(argument); }
static inline __attribute__((always_inline)) void twins(long argument) { sink(argument); }
static inline __attribute__((always_inline)) void slot(struct pair pair)
{
	__asm__ volatile("" :: "r"(&pair) : "memory");
	sink(pair.a);
}
static inline __attribute__((always_inline)) void sum(long argument) { sink(argument); }

/* A copy that is called, and a call that is inlined. */
__attribute__((noinline)) long copied(long argument) { sink(argument); return argument + 1; }

__attribute__((noinline)) void use_take(int *where, unsigned char small) { take(where, small); }
__attribute__((noinline)) void use_fixed(void) { fixed(-7); }
__attribute__((noinline)) void use_both(struct pair argument) { both(argument); }
__attribute__((noinline, section(".init.text"))) void use_early(long argument) { early(argument); }
__attribute__((noinline)) void use_late(long argument) { early(argument); }
__attribute__((noinline)) void use_guarded(long argument) { guarded(argument); }
__attribute__((noinline, section(".noinstr.text"))) void use_noinstr(long argument) { guarded(argument); }
__attribute__((noinline)) void twin_a(long argument) { twins(argument); }
__attribute__((noinline)) void twin_b(long argument) { twins(argument); }
__attribute__((noinline)) void use_slot(struct pair argument) { slot(argument); }
__attribute__((noinline)) void use_sum(long argument) { sum(argument - 9); }
