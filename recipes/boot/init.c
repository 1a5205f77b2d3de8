// The first and only program of the kernel that is booted: it reports what the
// check compares, line by line, and ends the machine.
//   init [restart]   `restart` where nothing can switch the machine off
// Compiled with -DMORE="FILE", it calls the function `more` of that file before the end.
#include <nolibc.h>
#include <linux/reboot.h>

static int append(char *line, int length, int room, const char *text) {
	while (*text && length < room)
		line[length++] = *text++;
	return length;
}

// One write a line, so that no message of the kernel comes in between. By hand:
// the nolibc of older kernels has no snprintf.
static void say(const char *what, const char *text) {
	char line[600];
	int length = append(line, 0, 599, "\ncrossmill: ");
	length = append(line, length, 599, what);
	length = append(line, length, 599, text);
	line[length++] = '\n';
	write(1, line, length);
}

static void give_a_console(void) {
	int console;
	if (write(1, "\n", 1) == 1)
		return;
	mkdir("/dev", 0755);
	mknod("/dev/console", S_IFCHR | 0600, makedev(5, 1));
	console = open("/dev/console", O_RDWR);
	if (console >= 0 && console != 1)
		dup2(console, 1);
}

static void version(void) {
	char text[512];
	int file = open("/proc/version", O_RDONLY);
	int length = file < 0 ? -1 : (int)read(file, text, sizeof(text) - 1);
	if (length < 0) {
		say("no /proc/version", "");
		return;
	}
	while (length > 0 && text[length - 1] == '\n')
		length--;
	text[length] = 0;
	say("version ", text);
}

static void btf(void) {
	char text[24];
	char *at = text + sizeof(text) - 1;
	unsigned long size;
	struct stat about;
	if (stat("/sys/kernel/btf/vmlinux", &about) < 0) {
		say("btf none", "");
		return;
	}
	*at = 0;
	size = (unsigned long)about.st_size;
	do {
		*--at = (char)('0' + size % 10);
		size /= 10;
	} while (size);
	say("btf ", at);
}

#ifdef MORE
#include MORE
#endif

#ifdef MODULES
// Loads the first module that the kernel takes: one whose hardware is missing refuses, but not all of them do.
static void load_a_module(void) {
	static const char *const names[] = { MODULES };
	unsigned int at;
	for (at = 0; at < sizeof(names) / sizeof(names[0]); at++) {
		char text[160] = "/";
		int length = append(text, 1, 150, names[at]);
		int file, failed;
		append(text, length, 150, ".ko");
		file = open(text, O_RDONLY);
		failed = file < 0 ? -1 : (int)syscall(__NR_finit_module, file, "", 0);
		text[0] = 0;
		if (!failed) {
			say("kmod loaded ", names[at]);
			return;
		}
		length = append(text, 0, 120, names[at]);
		length = append(text, length, 150, ": error ");
		text[length++] = (char)('0' + errno / 100 % 10);
		text[length++] = (char)('0' + errno / 10 % 10);
		text[length++] = (char)('0' + errno % 10);
		text[length] = 0;
		say("kmod refused ", text);
	}
}
#endif

int main(int argc, char **argv) {
	int restart = argc > 1 && strcmp(argv[1], "restart") == 0;
	give_a_console();
	// Only emergencies on the console from here on.
	syscall(__NR_syslog, 8, NULL, 1);
	say("init runs", "");
	mkdir("/proc", 0755);
	mkdir("/sys", 0755);
	if (mount("proc", "/proc", "proc", 0, NULL) < 0)
		say("cannot mount /proc", "");
	if (mount("sysfs", "/sys", "sysfs", 0, NULL) < 0)
		say("cannot mount /sys", "");
	version();
	btf();
#ifdef MODULES
	load_a_module();
#endif
#ifdef MORE
	more();
#endif
	say("ends", restart ? " by a restart" : " by switching off");
	// Let a slow console print what it has.
	sleep(1);
	reboot(restart ? LINUX_REBOOT_CMD_RESTART : LINUX_REBOOT_CMD_POWER_OFF);
	say("cannot end the machine", "");
	return 1;
}
