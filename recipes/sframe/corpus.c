/* Functions whose frames are of every kind that a C compiler makes. Compiled
   freestanding, at several levels, and never run: what is looked at is their
   stack-trace data. */

typedef __builtin_va_list va_list;
extern void sink(void *);
extern long source(long);

#define APART __attribute__((noinline, noclone))

/* No frame at all. */
APART long leaf(long a, long b) { return a * 3 + b; }

/* A frame, and calls. */
APART long framed(long a) {
  long b = source(a);
  return b + source(b) + a;
}

/* More values than registers keep over a call. */
APART long pressed(long a, long b, long c, long d) {
  long e = source(a), f = source(b), g = source(c), h = source(d);
  return a * e + b * f + c * g + d * h + source(a + b + c + d);
}

/* The stack pointer moves by what only the run knows. */
APART long moved(long n) {
  char *bytes = __builtin_alloca(n);
  sink(bytes);
  return bytes[n / 2];
}

APART long array(long n) {
  long values[n];
  sink(values);
  return values[0] + source(values[n - 1]);
}

/* Arguments of any number. */
APART long variadic(int count, ...) {
  va_list list;
  long sum = 0;
  __builtin_va_start(list, count);
  while (count-- > 0) sum += __builtin_va_arg(list, long);
  __builtin_va_end(list);
  return sum;
}
APART long calls_variadic(long a) { return variadic(8, a, a, a, a, a, a, a, source(a)); }

/* Frames beyond what one, and two, bytes can say. */
APART long large(long a) {
  char bytes[3000];
  sink(bytes);
  return bytes[a & 1023];
}
APART long huge(long a) {
  char bytes[300000];
  sink(bytes);
  return bytes[a & 1023];
}

/* Several ways out: the compiler remembers and restores the state. */
APART long ways_out(long a) {
  if (a == 0) return 0;
  long b = source(a);
  if (b == 0) return 1;
  long c = source(b);
  if (c == b) {
    sink(&c);
    return c;
  }
  if (c == 7) return source(c) + a;
  sink(&b);
  return b + c;
}

/* The last thing is a call: the frame goes before it. */
APART long tail(long a) {
  long b = source(a) + source(a + 1);
  return source(b);
}

/* A loop long enough for starts of two bytes. */
APART long lengthy(long a) {
#define TWICE(x) x x
#define MANY(x) TWICE(TWICE(TWICE(TWICE(TWICE(x)))))
  MANY(a += source(a) * 3;)
  return a;
}

/* Deep recursion. */
APART long recursive(long a) { return a <= 0 ? 0 : recursive(a - 1) + source(a); }

/* Through a pointer. */
APART long through(long (*call)(long), long a) { return call(a) + call(a + 1); }

/* The caller's frame, by name. */
APART void *caller(void) {
  void *frame = __builtin_frame_address(0);
  sink(frame);
  return __builtin_return_address(0);
}

/* Never comes back. */
APART __attribute__((noreturn)) void ends(long a) {
  source(a);
  for (;;) source(a);
}
