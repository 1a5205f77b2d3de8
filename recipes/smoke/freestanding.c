// What GCC and libgcc expect of every environment, a C library or not.
#ifdef __alpha__
#include "../check/alpha-divide.h"
#endif

typedef __SIZE_TYPE__ size;

__attribute__((noreturn)) void abort(void) {
	for (;;)
		;
}

int raise(int signal) {
	(void)signal;
	abort();
}

#pragma GCC optimize("no-tree-loop-distribute-patterns")
void *memset(void *to, int value, size length) {
	for (size i = 0; i < length; i++)
		((unsigned char *)to)[i] = (unsigned char)value;
	return to;
}

void *memcpy(void *restrict to, const void *restrict from, size length) {
	for (size i = 0; i < length; i++)
		((unsigned char *)to)[i] = ((const unsigned char *)from)[i];
	return to;
}
