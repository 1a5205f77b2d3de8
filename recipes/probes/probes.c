// What boot/init.c does more for the check of probes: it attaches probes to inlined
// functions, which define.sh let crossmill define, calls the functions, and shows the
// trace. trace.sh compares what the trace shows with the arguments.
//
// The functions are bodies of system calls, which the kernel inlines into their entries,
// and functions that these inline in turn: their arguments are those that are passed here.
// No call succeeds, so none has an effect.

struct definition {
	const char *name;
	const char *const *lines;
};

static const struct definition definitions[] = {
#include DEFINITIONS
};

struct test {
	const char *name;
	const char *expected;
	long (*call)(void);
};

static long getpgid_(void) { return syscall(__NR_getpgid, 4242); }
static long setpgid_(void) { return syscall(__NR_setpgid, 4242, 17); }
static long setpriority_(void) { return syscall(__NR_setpriority, 9, 3, -4); }
static long getpriority_(void) { return syscall(__NR_getpriority, 9, 3); }
static long lseek_(void) { return syscall(__NR_lseek, 77, -5L, 2); }
static long dup3_(void) { return syscall(__NR_dup3, 81, 82, 0); }
static long ftruncate_(void) { return syscall(__NR_ftruncate, 92, 12345L); }
static long fchmod_(void) { return syscall(__NR_fchmod, 93, 0600); }
static long fchown_(void) { return syscall(__NR_fchown, 94, 7, 8); }

static const struct test tests[] = {
#define TEST(name, call, expected) { #name, expected, call }
	TEST(__do_sys_getpgid, getpgid_, "pid=4242"),
	TEST(__do_sys_setpgid, setpgid_, "pid=4242 pgid=17"),
	TEST(__do_sys_setpriority, setpriority_, "which=9 who=3 niceval=-4"),
	TEST(__do_sys_getpriority, getpriority_, "which=9 who=3"),
	TEST(__do_sys_lseek, lseek_, "fd=77 offset=-5 whence=2"),
	TEST(ksys_lseek, lseek_, "fd=77 offset=-5 whence=2"),
	TEST(__do_sys_dup3, dup3_, "oldfd=81 newfd=82 flags=0"),
	TEST(ksys_dup3, dup3_, "oldfd=81 newfd=82 flags=0"),
	TEST(__do_sys_ftruncate, ftruncate_, "fd=92 length=12345"),
	TEST(__do_sys_fchmod, fchmod_, "fd=93 mode=384"),
	TEST(__do_sys_fchown, fchown_, "fd=94 user=7 group=8"),
};

#define TRACING "/sys/kernel/tracing/"

static int put(const char *path, const char *text) {
	int length = (int)strlen(text);
	int file = open(path, O_WRONLY | O_APPEND);
	int failed;
	if (file < 0)
		return errno;
	errno = 0;
	failed = (int)write(file, text, length) == length ? 0 : errno ? errno : EIO;
	close(file);
	return failed;
}

static void refuse(const char *what, const char *text, int error) {
	char line[400];
	int length = append(line, 0, 360, text);
	length = append(line, length, 380, ": error ");
	line[length++] = (char)('0' + error / 100 % 10);
	line[length++] = (char)('0' + error / 10 % 10);
	line[length++] = (char)('0' + error % 10);
	line[length] = 0;
	say(what, line);
}

static int define(const struct definition *definition) {
	const char *const *line;
	for (line = definition->lines; *line; line++) {
		int error = put(TRACING "kprobe_events", *line);
		if (error) {
			refuse("probe refused ", *line, error);
			return 0;
		}
	}
	return 1;
}

// A test is called once its function has its probes.
static void call(const char *name) {
	unsigned int at;
	for (at = 0; at < sizeof(tests) / sizeof(tests[0]); at++) {
		char line[200];
		int length;
		if (strcmp(tests[at].name, name))
			continue;
		length = append(line, 0, 190, name);
		length = append(line, length, 190, " with ");
		length = append(line, length, 190, tests[at].expected);
		line[length] = 0;
		say("probe called ", line);
		tests[at].call();
	}
}

static char trace[65536];

static void show_trace(void) {
	int file = open(TRACING "trace", O_RDONLY);
	int length = 0, got, at, start;
	while (file >= 0 && length < (int)sizeof(trace) - 1 && (got = (int)read(file, trace + length, sizeof(trace) - 1 - length)) > 0)
		length += got;
	for (at = start = 0; at < length; at++) {
		if (trace[at] != '\n')
			continue;
		trace[at] = 0;
		if (trace[start] != '#')
			say("trace ", trace + start);
		start = at + 1;
	}
	if (!length)
		say("probe refused ", "the trace is empty");
}

static void more(void) {
	unsigned int at, count = sizeof(definitions) / sizeof(definitions[0]);
	int error;
	if (mount("tracefs", "/sys/kernel/tracing", "tracefs", 0, NULL) < 0)
		refuse("probe refused ", "mount of tracefs", errno);
	for (at = 0; at < count; at++)
		define(&definitions[at]);
	error = put(TRACING "events/inline/enable", "1");
	if (error)
		refuse("probe refused ", "events/inline/enable", error);
	for (at = 0; at < count; at++)
		call(definitions[at].name);
	put(TRACING "events/inline/enable", "0");
	show_trace();
}
