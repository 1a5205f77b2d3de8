// What a C library is for: output, memory, threads and their storage, time, text, numbers, files, signals.
// Every line is the same on each machine. The exit code is the first argument.
#define _GNU_SOURCE
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <pthread.h>
#include <regex.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <wchar.h>

extern int shared_count;
extern __thread int thread_count;
int compare_ints(const void *a, const void *b);
int bump(int by);
char *describe(double value);

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static int total, firsts;

static void first(void) { firsts++; }

static void *work(void *argument) {
	int number = (int)(intptr_t)argument, round;
	pthread_once(&once, first);
	for (round = 0; round < 1000; round++) {
		pthread_mutex_lock(&lock);
		total += number;
		pthread_mutex_unlock(&lock);
	}
	bump(number);
	return (void *)(intptr_t)thread_count;
}

static void threads(void) {
	pthread_t thread[8];
	void *result;
	long sum = 0;
	int at;
	for (at = 0; at < 8; at++)
		pthread_create(&thread[at], NULL, work, (void *)(intptr_t)(at + 1));
	for (at = 0; at < 8; at++) {
		pthread_join(thread[at], &result);
		sum += (intptr_t)result;
	}
	printf("threads %d once %d tls %ld own %d shared %d\n", total, firsts, sum, thread_count, shared_count);
}

static volatile sig_atomic_t caught;
static void on_signal(int number) { caught = number; }

static jmp_buf back;
static volatile int depth;
static void deep(void) {
	if (depth-- == 0)
		longjmp(back, 7);
	deep();
}

int main(int argc, char **argv) {
	int numbers[] = { 5, -3, 99, 0, 12 };
	char line[64], *end, *text;
	wchar_t wide[64];
	double number;
	struct tm date;
	time_t moment = 1767225600;
	regex_t pattern;
	regmatch_t match[2];
	struct stat about;
	FILE *file;
	int at, status;
	pid_t child;

	// A compiler that was built without a C library has a limits.h that does not include the library's.
	printf("limits %d %d %d\n", PATH_MAX, NAME_MAX, INT_MAX);
	qsort(numbers, 5, sizeof(numbers[0]), compare_ints);
	printf("sorted");
	for (at = 0; at < 5; at++)
		printf(" %d", numbers[at]);
	printf("\n");
	text = describe(12345.678);
	printf("%s\n", text);
	free(text);
	printf("%lld %llx %5.2Lf %s\n", (long long)INT64_MIN, (unsigned long long)UINT64_MAX, 2.5L, strerror(ENOENT));
	printf("%.10f %.10f %.10f\n", sqrt(2), pow(2, 0.5), atan2(1, 1) * 4);
	number = strtod("1.5e3xyz", &end);
	printf("strtod %.3f rest %s strtoll %lld\n", number, end, strtoll("-0x7fffffffffffffff", NULL, 0));
	gmtime_r(&moment, &date);
	strftime(line, sizeof(line), "%Y-%m-%d %H:%M:%S %j %a", &date);
	printf("%s %lld\n", line, (long long)timegm(&date));
	regcomp(&pattern, "([a-z]+)-[0-9]+", REG_EXTENDED);
	status = regexec(&pattern, "see linux-42 here", 2, match, 0);
	printf("regex %d %d %d\n", status, (int)match[1].rm_so, (int)match[1].rm_eo);
	regfree(&pattern);
	swprintf(wide, 64, L"%ls-%d", L"wide", 8);
	printf("%ls %d upper %c\n", wide, (int)wcslen(wide), toupper('q'));
	file = fopen("written", "w+");
	fprintf(file, "%s %d\n", "line", 17);
	rewind(file);
	status = fscanf(file, "%63s %d", line, &at);
	fclose(file);
	stat("written", &about);
	printf("file %d %s %d size %d\n", status, line, at, (int)about.st_size);
	unlink("written");
	threads();
	signal(SIGUSR1, on_signal);
	raise(SIGUSR1);
	printf("signal %d\n", caught == SIGUSR1);
	status = setjmp(back);
	if (!status) {
		depth = 20;
		deep();
	}
	printf("longjmp %d\n", status);
	text = calloc(1000, 1000);
	for (at = 0, status = 0; at < 1000000; at += 997)
		status |= text[at];
	text = realloc(text, 3000000);
	memset(text, 'x', 3000000);
	printf("memory %d %c\n", status, text[2999999]);
	free(text);
	fflush(stdout);
	child = fork();
	if (!child)
		_exit(23);
	waitpid(child, &status, 0);
	printf("child %d\n", WEXITSTATUS(status));
	setenv("CROSSMILL", "value", 1);
	printf("%s %s\n", getenv("CROSSMILL"), argc > 1 ? argv[1] : "none");
	return argc > 1 ? atoi(argv[1]) : 0;
}
