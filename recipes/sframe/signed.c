/* Return addresses that are signed (pointer authentication of aarch64);
   elsewhere functions like any. */

extern void sink(void *);
extern long source(long);

__attribute__((noinline)) long signed_frame(long a) { return source(a) + source(a + 1); }
__attribute__((noinline)) long signed_ways_out(long a) {
  if (a == 0) return source(1);
  long b = source(a);
  sink(&b);
  return b;
}
