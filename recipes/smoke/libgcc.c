// Operations that no machine has all of: GCC calls libgcc for the rest.
typedef unsigned long long wide;

volatile wide a = 0x123456789abcdef0ull, b = 0x1234567ull;
volatile long long c = -0x123456789abcdefll, d = 12345;
volatile unsigned int n = 13;
volatile double x = 1.5, y = -2.25;
volatile float f = 0.75f;
volatile wide results[16];

#ifdef __SIZEOF_INT128__
volatile unsigned __int128 g = 1;
volatile __int128 h = -3;
#endif
// Where long double is a quad that is computed by software (or by the vector unit). 64-bit SPARC's
// helpers for it are the C library's by its ABI.
#if defined(__x86_64__) || defined(__i386__)
#define QUAD __float128
#elif __LDBL_MANT_DIG__ == 113 && !(defined(__sparc__) && defined(__arch64__))
#define QUAD long double
#endif
// So is all of its floating point on Nios II with Linux (libgcc/config/nios2/t-linux).
#if defined(__nios2__) && defined(__linux__)
#define NO_FLOAT
#endif
#ifdef QUAD
volatile QUAD q = 1.25;
#endif

void _start(void) {
	results[0] = a / b;
	results[1] = a % b;
	results[2] = (wide)(c / d);
	results[3] = (wide)(c % d);
	results[4] = a << n;
	results[5] = a >> n;
	results[6] = (wide)(c >> n);
	results[7] = (wide)__builtin_popcountll(a) + (wide)__builtin_clzll(a) + (wide)__builtin_ctzll(a);
#ifndef NO_FLOAT
	results[8] = (wide)(long long)(x * y + x / y - f);
	results[9] = (wide)(x > y) + (wide)(double)a;
#endif
#ifdef __SIZEOF_INT128__
	g = (g << 77) / a;
	h = h / c % d;
	results[10] = (wide)g + (wide)h;
#endif
#ifdef QUAD
	q = q * q + q / 3;
	results[11] = (wide)q;
#endif
	for (;;)
		;
}
