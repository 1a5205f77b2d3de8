// What boot/init.c does more for the check module-btf-inline-load: the kernel must refuse
// the module of another kernel, load its own, and show its data at /sys/kernel/btf.

#define OFFERED "/sys/kernel/btf/vmlinux.inline"

static char one[4096], two[4096];

static void number(const char *what, unsigned long value) {
	char text[24];
	char *at = text + sizeof(text) - 1;
	*at = 0;
	do {
		*--at = (char)('0' + value % 10);
		value /= 10;
	} while (value);
	say(what, at);
}

// Reads until the buffer is full or the file ends: sysfs gives a page at a time.
static int fill(int file, char *buffer) {
	int length = 0, got;
	while (length < (int)sizeof(one) && (got = (int)read(file, buffer + length, sizeof(one) - length)) > 0)
		length += got;
	return length;
}

static void load(const char *what, const char *path) {
	int file = open(path, O_RDONLY);
	int failed = file < 0 ? -1 : (int)syscall(__NR_finit_module, file, "", 0);
	number(what, failed ? (unsigned long)errno : 0);
	if (file >= 0)
		close(file);
}

static void compare(void) {
	int offered = open(OFFERED, O_RDONLY);
	int expected = open("/vmlinux.BTF.inline", O_RDONLY);
	unsigned long bytes = 0;
	int length, at;
	if (offered < 0 || expected < 0) {
		number(offered < 0 ? "btf-inline missing " : "btf-inline unreadable ", (unsigned long)errno);
		return;
	}
	do {
		length = fill(offered, one);
		if (fill(expected, two) != length) {
			number("btf-inline other size after ", bytes);
			return;
		}
		for (at = 0; at < length; at++) {
			if (one[at] != two[at]) {
				number("btf-inline differs at ", bytes + at);
				return;
			}
		}
		bytes += length;
	} while (length);
	number("btf-inline equal ", bytes);
	close(offered);
	close(expected);
}

static void more(void) {
	struct stat about;
	load("btf-inline other ", "/other.ko");
	if (!stat(OFFERED, &about))
		say("btf-inline before", "");
	load("btf-inline load ", "/btf_inline_data.ko");
	compare();
	number("btf-inline unload ", syscall(__NR_delete_module, "btf_inline_data", 0) ? (unsigned long)errno : 0);
	if (!stat(OFFERED, &about))
		say("btf-inline after", "");
}
