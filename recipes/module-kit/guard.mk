# Included at the end of this kit's Makefile: a module is built by the compiler
# that built the kernel, or nothing is built. Runs before anything is compiled.
module-kit-verdict := $(shell MODULE_KIT_COMPILER='$(MODULE_KIT_COMPILER)' RUSTC='$(RUSTC)' \
	sh $(abs_srctree)/scripts/module-kit/guard.sh $(abs_srctree) '$(KBUILD_EXTMOD)' $(CC))
ifneq ($(module-kit-verdict),go on)
$(error module-kit: refused, nothing was compiled)
endif
