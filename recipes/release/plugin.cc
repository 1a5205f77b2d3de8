// A GCC plugin that reports the compiler it was loaded into. It includes the headers that need gmp.h, mpfr.h and mpc.h.
#include "gcc-plugin.h"
#include "plugin-version.h"
#include "tree.h"
#include "gimple.h"
#include "realmpfr.h"
#include <cstdio>

int plugin_is_GPL_compatible;

int plugin_init(plugin_name_args *, plugin_gcc_version *version)
{
	if (!plugin_default_version_check(version, &gcc_version))
		return 1;
	std::fprintf(stderr, "plugin: loaded by %s\n", version->basever);
	return 0;
}
