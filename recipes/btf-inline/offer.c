// SPDX-License-Identifier: GPL-2.0 OR MIT
// Offers the inline BTF of the running kernel at /sys/kernel/btf/vmlinux.inline while
// it is loaded, where a kernel that is built with its own inline BTF has it. A kernel
// with another build ID is refused: the data would describe code that it does not have.
#include <linux/elf.h>
#include <linux/kernfs.h>
#include <linux/kobject.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/sysfs.h>
#include <linux/version.h>

#ifndef NT_GNU_BUILD_ID
#define NT_GNU_BUILD_ID 3
#endif

extern const char btf_inline_data[];
extern const u32 btf_inline_size;

static struct kobject *btf_directory;
static struct bin_attribute inline_attribute = {
	.attr = { .name = "vmlinux.inline", .mode = 0444 },
// The type of this function changed with 6.13; until 6.16 it had a member of its own.
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 13, 0) && LINUX_VERSION_CODE < KERNEL_VERSION(6, 17, 0)
	.read_new = sysfs_bin_attr_simple_read,
#else
	.read = sysfs_bin_attr_simple_read,
#endif
};

// Returns the object of a file or directory in /sys/kernel, which the caller releases with kernfs_put.
static struct kernfs_node *find(const char *name)
{
	return kernfs_find_and_get(kernel_kobj->sd, name);
}

// Returns whether the notes of an ELF file contain the build ID that this module was built for.
static bool have_build_id(const char *notes, size_t size)
{
	size_t at = 0;

	while (size - at >= sizeof(struct elf_note)) {
		const struct elf_note *note = (const void *)(notes + at);
		size_t name = at + sizeof(*note);
		size_t value = name + ALIGN(note->n_namesz, 4);
		char hex[2 * 32 + 1];

		at = value + ALIGN(note->n_descsz, 4);
		if (at > size)
			break;
		if (note->n_type != NT_GNU_BUILD_ID || note->n_namesz != 4 || memcmp(notes + name, "GNU", 4))
			continue;
		if (2 * note->n_descsz >= sizeof(hex))
			break;
		snprintf(hex, sizeof(hex), "%*phN", (int)note->n_descsz, notes + value);
		return !strcmp(hex, BUILD_ID);
	}
	return false;
}

// The notes are read from the attribute behind /sys/kernel/notes, since sysfs need not be mounted.
static int compare_build_id(void)
{
	struct kernfs_node *node = find("notes");
	const struct bin_attribute *attribute;
	char *notes;
	ssize_t size;
	int error = 0;

	if (!node) {
		pr_err("btf_inline_data: the kernel has no /sys/kernel/notes, so its build ID cannot be compared\n");
		return -ENODEV;
	}
	attribute = node->priv;
	notes = kvmalloc(attribute->size, GFP_KERNEL);
	size = !notes ? -ENOMEM :
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 13, 0) && LINUX_VERSION_CODE < KERNEL_VERSION(6, 17, 0)
	       attribute->read_new ? attribute->read_new(NULL, kernel_kobj, attribute, notes, 0, attribute->size) :
#endif
	       attribute->read(NULL, kernel_kobj, (void *)attribute, notes, 0, attribute->size);
	if (size < 0) {
		error = size;
	} else if (!have_build_id(notes, size)) {
		pr_err("btf_inline_data: this kernel is not the one with the build ID %s\n", BUILD_ID);
		error = -EINVAL;
	}
	kvfree(notes);
	kernfs_put(node);
	return error;
}

static int __init offer(void)
{
	struct kernfs_node *node;
	int error = compare_build_id();

	if (error)
		return error;
	node = find("btf");
	if (!node) {
		pr_err("btf_inline_data: the kernel has no /sys/kernel/btf, whose types this data refers to\n");
		return -ENODEV;
	}
	btf_directory = kobject_get(node->priv);
	kernfs_put(node);
	sysfs_bin_attr_init(&inline_attribute);
	inline_attribute.private = (void *)btf_inline_data;
	inline_attribute.size = btf_inline_size;
	// -EEXIST: the kernel has its own.
	error = sysfs_create_bin_file(btf_directory, &inline_attribute);
	if (error)
		kobject_put(btf_directory);
	return error;
}

static void __exit withdraw(void)
{
	sysfs_remove_bin_file(btf_directory, &inline_attribute);
	kobject_put(btf_directory);
}

module_init(offer);
module_exit(withdraw);
MODULE_LICENSE("Dual MIT/GPL");
MODULE_DESCRIPTION("the inline BTF of this kernel at /sys/kernel/btf/vmlinux.inline");
