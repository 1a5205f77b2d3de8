/* driver.c: one program that runs the tools of several targets.
 *
 * Called as TRIPLE-TOOL (mips-linux-gcc) or as xTOOL (xgcc --target=TRIPLE, -target TRIPLE, or XGCC_TARGET), it replaces
 * itself by the target's own program, with the target's default options before the caller's. The file
 * ../share/crossmill/targets, seen from the directory of this program, describes the targets:
 *
 *   target TRIPLE               the lines below are about this target
 *   alias NAME                  another name of the target, for xTOOL
 *   tools PREFIX                where its programs are: PREFIX + TOOL, relative to the parent of this program's directory
 *   default TOOL OPTION [UNLESS…]
 *                               an option that TOOL is given unless the caller gives one of UNLESS; `*` at the end of
 *                               UNLESS matches any rest
 *
 * GCC finds its own files relative to the path it is called by, so that path is the real program's. No allocation grows
 * with the input; a table that is too large is an error.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TABLE = 1 << 16, PATH = 4096, DEFAULTS = 32, ARGS = 1 << 16 };

static char table[TABLE];
static char *lines[TABLE / 8];
static int line_count;
static const char *self = "crossmill driver";

static _Noreturn void die(const char *what, const char *why)
{
	fprintf(stderr, "%s: error: %s%s%s\n", self, what, why ? ": " : "", why ? why : "");
	exit(2);
}

/* The directory above the one that this program is in. */
static void find_prefix(char *prefix)
{
	ssize_t length = readlink("/proc/self/exe", prefix, PATH - 1);

	if (length <= 0)
		die("cannot find its own path", strerror(errno));
	prefix[length] = 0;
	for (int i = 0; i < 2; i++) {
		char *slash = strrchr(prefix, '/');

		if (!slash)
			die("unexpected path", prefix);
		*slash = 0;
	}
}

static void read_table(const char *prefix)
{
	char path[PATH + 64];
	FILE *file;
	size_t length;

	snprintf(path, sizeof path, "%s/share/crossmill/targets", prefix);
	file = fopen(path, "r");
	if (!file)
		die(path, strerror(errno));
	length = fread(table, 1, sizeof table - 1, file);
	if (!feof(file))
		die(path, "too large");
	fclose(file);
	table[length] = 0;
	for (char *line = strtok(table, "\n"); line; line = strtok(NULL, "\n"))
		lines[line_count++] = line;
}

/* The rest of a line that begins with WORD and a space. */
static char *after(char *line, const char *word)
{
	size_t length = strlen(word);

	return strncmp(line, word, length) == 0 && line[length] == ' ' ? line + length + 1 : NULL;
}

/* The index of the line `target …` of NAME, a triple or an alias; -1 if there is none. */
static int find_target(const char *name)
{
	int target = -1;

	for (int i = 0; i < line_count; i++) {
		char *triple = after(lines[i], "target"), *alias = after(lines[i], "alias");

		if (triple)
			target = i;
		if ((triple && strcmp(triple, name) == 0) || (alias && strcmp(alias, name) == 0))
			return target;
	}
	return -1;
}

/* The value of the line WORD of a target. */
static char *value_of(int target, const char *word)
{
	for (int i = target + 1; i < line_count && !after(lines[i], "target"); i++) {
		char *value = after(lines[i], word);

		if (value)
			return value;
	}
	return NULL;
}

/* Levenshtein's distance of two short names. */
static int distance(const char *a, const char *b)
{
	int row[64];
	int n = (int)strlen(b);

	if (n > 63)
		return 99;
	for (int j = 0; j <= n; j++)
		row[j] = j;
	for (int i = 0; a[i]; i++) {
		int corner = row[0];

		row[0] = i + 1;
		for (int j = 0; j < n; j++) {
			int best = corner + (a[i] != b[j]);

			if (row[j] + 1 < best)
				best = row[j] + 1;
			if (row[j + 1] + 1 < best)
				best = row[j + 1] + 1;
			corner = row[j + 1];
			row[j + 1] = best;
		}
	}
	return row[n];
}

static _Noreturn void unknown_target(const char *name)
{
	const char *nearest = NULL;
	int best = 4;

	for (int i = 0; i < line_count; i++) {
		const char *word = after(lines[i], "target");

		if (!word)
			word = after(lines[i], "alias");
		if (word && distance(name, word) < best) {
			best = distance(name, word);
			nearest = word;
		}
	}
	fprintf(stderr, "%s: error: unknown target `%s`\n", self, name);
	if (nearest)
		fprintf(stderr, "hint: did you mean `%s`?\n", nearest);
	else
		fprintf(stderr, "hint: `xgcc --print-targets` lists them\n");
	exit(2);
}

static _Noreturn void print_targets(void)
{
	const char *separator = "";

	for (int i = 0; i < line_count; i++) {
		const char *triple = after(lines[i], "target"), *alias = after(lines[i], "alias");

		if (triple) {
			printf("%s%s", separator, triple);
			separator = "\n";
		} else if (alias) {
			printf(" %s", alias);
		}
	}
	printf("%s", separator);
	exit(0);
}

/* gcc, gcc-16.2.0 and ld.bfd are called by the first part of their name. */
static int is_tool(const char *tool, const char *name)
{
	size_t length = strlen(name);

	if (strncmp(tool, name, length) != 0)
		return 0;
	return tool[length] == 0 || tool[length] == '.' ||
	       (tool[length] == '-' && tool[length + 1] >= '0' && tool[length + 1] <= '9');
}

static int is_given(const char *pattern, char **args)
{
	size_t length = strlen(pattern);
	int open = length > 0 && pattern[length - 1] == '*';

	for (; *args; args++)
		if (open ? strncmp(*args, pattern, length - 1) == 0 : strcmp(*args, pattern) == 0)
			return 1;
	return 0;
}

/* The option of a line `default TOOL OPTION [UNLESS…]`, unless ARGS say otherwise. */
static char *default_option(char *line, const char *tool, char **args)
{
	char *rest = after(line, "default");
	char *option, *pattern, *state = NULL;

	if (!rest)
		return NULL;
	if (!is_tool(tool, strtok_r(rest, " ", &state)))
		return NULL;
	option = strtok_r(NULL, " ", &state);
	while ((pattern = strtok_r(NULL, " ", &state)))
		if (is_given(pattern, args))
			return NULL;
	return option;
}

/* Whether this is the target that `xTOOL` is given; sets the number of arguments that name it. */
static const char *told_target(char **args, int *words)
{
	*words = 1;
	if (strncmp(args[0], "--target=", 9) == 0)
		return args[0] + 9;
	if (strcmp(args[0], "-target") == 0 && args[1]) {
		*words = 2;
		return args[1];
	}
	return NULL;
}

int main(int argc, char **argv)
{
	static char prefix[PATH], program[2 * PATH];
	static char *args[ARGS];
	const char *name = argc > 0 ? strrchr(argv[0], '/') : NULL;
	const char *tool = NULL, *triple, *tools;
	int target = -1, count = 1, defaults, named = 1;

	name = name ? name + 1 : argc > 0 ? argv[0] : self;
	self = name;
	if (argc + DEFAULTS + 1 > ARGS)
		die("too many arguments", NULL);
	find_prefix(prefix);
	read_table(prefix);

	/* The longest triple that the name begins with. */
	for (int i = 0; i < line_count; i++) {
		const char *word = after(lines[i], "target");
		size_t length = word ? strlen(word) : 0;

		if (word && strncmp(name, word, length) == 0 && name[length] == '-' && (!tool || name + length + 1 > tool)) {
			target = i;
			tool = name + length + 1;
		}
	}
	if (target < 0) {
		const char *wanted = getenv("XGCC_TARGET");

		if (name[0] != 'x' || !name[1])
			die("call it as TRIPLE-TOOL or xTOOL", NULL);
		tool = name + 1;
		/* The last one wins. What objcopy --target names need not be a target of ours. */
		for (int i = 1, words; i < argc; i += words) {
			const char *word = told_target(argv + i, &words);

			if (strcmp(argv[i], "--print-targets") == 0)
				print_targets();
			if (word && (strcmp(tool, "gcc") == 0 || find_target(word) >= 0))
				wanted = word;
		}
		if (!wanted)
			die("no target is named", "use --target=TRIPLE or set XGCC_TARGET; --print-targets lists them");
		target = find_target(wanted);
		if (target < 0)
			unknown_target(wanted);
		named = 0;
	}
	triple = after(lines[target], "target");
	tools = value_of(target, "tools");
	if (!tools)
		die("the table names no tools of", triple);

	snprintf(program, sizeof program, "%s/%s%s", prefix, tools, tool);
	args[0] = program;
	for (int i = target + 1; i < line_count && !after(lines[i], "target"); i++) {
		char *option = default_option(lines[i], tool, argv + 1);

		if (option && count < DEFAULTS)
			args[count++] = option;
	}
	defaults = count;
	for (int i = 1, words; i < argc; i += words) {
		const char *word = NULL;

		words = 1;
		if (!named)
			word = told_target(argv + i, &words);
		if (word && find_target(word) >= 0)
			continue;
		words = 1;
		args[count++] = argv[i];
	}
	args[count] = NULL;
	/* Build systems ask a compiler for its target; a shared one would name its own. */
	if (is_tool(tool, "gcc") && count == defaults + 1 && strcmp(args[defaults], "-dumpmachine") == 0) {
		puts(triple);
		return 0;
	}
	execv(program, args);
	die(program, strerror(errno));
}
