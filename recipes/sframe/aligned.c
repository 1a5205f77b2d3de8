/* Locals that are aligned more than the stack is: x86-64 then reaches its
   arguments by another register (DRAP), and restores the stack from memory. */

extern void sink(void *);
extern long source(long);

#define APART __attribute__((noinline, noclone))

APART long aligned(long a) {
  char bytes[64] __attribute__((aligned(64)));
  sink(bytes);
  return bytes[a & 31];
}

APART long aligned_and_moved(long n, long a, long b, long c, long d, long e, long f, long on_stack) {
  char bytes[64] __attribute__((aligned(128)));
  char *more = __builtin_alloca(n);
  sink(bytes);
  sink(more);
  return bytes[a & 31] + more[0] + b + c + d + e + f + on_stack + source(on_stack);
}
