// What boot/init.c does more for the check of the module kit: it loads the
// module that load.sh put beside it, looks for its traces and unloads it.

__asm__(
	".section .rodata\n"
	".balign 16\n"
	".globl module_begin\n"
	"module_begin:\n"
	".incbin \"" MODULE_FILE "\"\n"
	"1:\n"
	".balign 16\n"
	".globl module_size\n"
	"module_size:\n"
	".long 1b - module_begin\n"
	".previous\n");

// A symbol at the end could be at an odd address, which s390 has no relocation for.
extern const char module_begin[];
extern const unsigned int module_size;

static char kernel_log[65536];

// The last line of the kernel's log that has `text` in it, from there on.
static const char *logged(const char *text) {
	int length = (int)syscall(__NR_syslog, 3, kernel_log, sizeof(kernel_log) - 1);
	int at, same, end;
	if (length < 0)
		return NULL;
	kernel_log[length] = 0;
	for (at = length - 1; at >= 0; at--) {
		for (same = 0; text[same] && kernel_log[at + same] == text[same]; same++)
			;
		if (text[same])
			continue;
		for (end = at; kernel_log[end] && kernel_log[end] != '\n'; end++)
			;
		kernel_log[end] = 0;
		return kernel_log + at;
	}
	return NULL;
}

static void report(const char *what, const char *text) {
	const char *found = logged(text);
	say(what, found ? found : "nothing");
}

static void more(void) {
	int failed = (int)syscall(__NR_init_module, module_begin, (unsigned long)module_size, "answer=7");
	struct stat about;
	if (failed) {
		char number[] = "error 000";
		number[6] = (char)('0' + errno / 100 % 10);
		number[7] = (char)('0' + errno / 10 % 10);
		number[8] = (char)('0' + errno % 10);
		say("module refused: ", number);
		// Its last line: what it says of ELF files has not the name of the module.
		report("module because ", "] ");
		return;
	}
	report("module loaded: ", "crossmill_hello: answer");
	say("module parameter ", stat("/sys/module/crossmill_hello/parameters/answer", &about) < 0 ? "missing" : "there");
	if (syscall(__NR_delete_module, "crossmill_hello", 0))
		say("module unloaded: ", "it does not go");
	else
		report("module unloaded: ", "crossmill_hello: goes after");
}
