// SPDX-License-Identifier: GPL-2.0
// A module outside the kernel's tree: a parameter, functions that the kernel
// exports, a line in its log when it comes and one when it goes.
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/utsname.h>

static int answer = 6;
module_param(answer, int, 0444);
MODULE_PARM_DESC(answer, "a number in its first line");

static char *line;

static int __init hello_init(void)
{
	line = kasprintf(GFP_KERNEL, "answer %d on %s", answer * 7, init_utsname()->release);
	if (!line)
		return -ENOMEM;
	pr_info("crossmill_hello: %s\n", line);
	return 0;
}

static void __exit hello_exit(void)
{
	pr_info("crossmill_hello: goes after %s\n", line);
	kfree(line);
}

module_init(hello_init);
module_exit(hello_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("what the check of the module kit builds");
