// A shared library, or a part of the static program: its variables are the program's too.
#include <stdio.h>
#include <stdlib.h>

int shared_count;
__thread int thread_count = 5;
static int closed;

__attribute__((constructor)) static void open_part(void) { shared_count = 100; }
__attribute__((destructor)) static void close_part(void) { closed = 1; printf("destructor %d\n", shared_count); fflush(stdout); }

int compare_ints(const void *a, const void *b) { return *(const int *)a - *(const int *)b; }

int bump(int by) {
	thread_count += by;
	return __atomic_add_fetch(&shared_count, by, __ATOMIC_SEQ_CST) + closed;
}

char *describe(double value) {
	char *text = NULL;
	size_t size;
	FILE *stream = open_memstream(&text, &size);
	fprintf(stream, "%.6e|%10.3f|%-8g|%a", value, value, value, 0.5);
	fclose(stream);
	return text;
}
