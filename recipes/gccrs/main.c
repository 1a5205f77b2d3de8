/* Calls what Rust was compiled to; cases.h says what, and what it must give. */
#include "nolibc.h"

int from_c(int a, long long b)
{
	return a * (int)b;
}

#define CASE(name, argument) int name(int);
#include "cases.h"
#undef CASE

int main(void)
{
#define CASE(name, argument) printf(#name " %d\n", name(argument));
#include "cases.h"
	return 42;
}
