# Shared by all cases: macros, some code, abbreviations.
	.macro DIE code
	.uleb128 \code
	.endm
	.macro END
	.byte 0
	.endm
	# A reference within the unit.
	.macro REF label
	.4byte \label - .Lcu
	.endm
	.macro EXPR bytes:vararg
	.uleb128 .Le\@ - .Ls\@
.Ls\@:
	.byte \bytes
.Le\@:
	.endm
	# SITE function, offset: one inlined call of four bytes.
	.macro SITE function, at
	DIE 8
	REF \function
	.8byte caller + \at
	.8byte 4
	.endm
	# AT param, expression
	.macro AT param, bytes:vararg
	DIE 9
	REF \param
	EXPR \bytes
	.endm
	.macro LIST param, list
	DIE 10
	REF \param
	.4byte \list
	.endm
	.macro FUNCTION name
	DIE 4
	.asciz "\name"
	.byte 1
	.endm
	.macro PARAM name, type
	DIE 5
	.asciz "\name"
	REF \type
	.endm
	.macro UNIT
	.4byte .Lcu_end - .Lcu_start
.Lcu_start:
	.2byte 5
	.byte 1, 8
	.4byte .Labbrev
	DIE 1
	.asciz "case.c"
	.byte 12
	.8byte caller
.Lint:	DIE 2
	.asciz "int"
	.byte 4, 5
.Llong:	DIE 2
	.asciz "long int"
	.byte 8, 5
.Lulong: DIE 2
	.asciz "long unsigned int"
	.byte 8, 7
.Lchar:	DIE 2
	.asciz "unsigned char"
	.byte 1, 8
.Lpair:	DIE 19
	.asciz "pair"
	.byte 16
.Lbig:	DIE 19
	.asciz "big"
	.byte 24
.Lptr:	DIE 3
	.byte 8
	REF .Llong
	.endm

	.text
	.globl caller
	.type caller, @function
caller:
	.skip 0x200, 0x90
	.size caller, . - caller
	.section .init.text, "ax", @progbits
init_caller:
	.skip 0x40, 0x90

	.section .debug_abbrev, "", @progbits
.Labbrev:
	.macro ABBREV code, tag, children, attributes:vararg
	.uleb128 \code
	.uleb128 \tag
	.byte \children
	.byte \attributes
	.byte 0, 0
	.endm
	ABBREV 1, 0x11, 1, 0x03, 0x08, 0x13, 0x0b, 0x11, 0x01
	ABBREV 2, 0x24, 0, 0x03, 0x08, 0x0b, 0x0b, 0x3e, 0x0b
	ABBREV 3, 0x0f, 0, 0x0b, 0x0b, 0x49, 0x13
	ABBREV 4, 0x2e, 1, 0x03, 0x08, 0x20, 0x0b
	ABBREV 5, 0x05, 0, 0x03, 0x08, 0x49, 0x13
	ABBREV 6, 0x18, 0
	ABBREV 7, 0x2e, 1, 0x03, 0x08, 0x11, 0x01, 0x12, 0x07
	ABBREV 8, 0x1d, 1, 0x31, 0x13, 0x11, 0x01, 0x12, 0x07
	ABBREV 9, 0x05, 0, 0x31, 0x13, 0x02, 0x18
	ABBREV 10, 0x05, 0, 0x31, 0x13, 0x02, 0x17
	ABBREV 11, 0x05, 0, 0x31, 0x13, 0x1c, 0x0d
	ABBREV 12, 0x05, 0, 0x31, 0x13
	ABBREV 13, 0x1d, 1, 0x31, 0x13, 0x52, 0x01, 0x55, 0x17
	ABBREV 14, 0x2e, 0, 0x31, 0x13
	ABBREV 15, 0x1d, 1, 0x31, 0x10, 0x11, 0x01, 0x12, 0x07
	ABBREV 16, 0x1d, 0, 0x11, 0x01, 0x12, 0x07
	ABBREV 17, 0x1d, 0, 0x31, 0x13
	ABBREV 18, 0x2e, 0, 0x20, 0x0b
	ABBREV 19, 0x13, 0, 0x03, 0x08, 0x0b, 0x0b
	ABBREV 20, 0x05, 0, 0x31, 0x13, 0x1c, 0x0a
	ABBREV 21, 0x0b, 1
	ABBREV 22, 0x1d, 1, 0x31, 0x13, 0x52, 0x05, 0x11, 0x01, 0x12, 0x07
	ABBREV 23, 0x2e, 0, 0x31, 0x13, 0x11, 0x01, 0x12, 0x07
	ABBREV 24, 0x1d, 1, 0x31, 0x13, 0x55, 0x17
	ABBREV 25, 0x16, 0, 0x03, 0x08, 0x49, 0x13
	.byte 0

	.section .debug_info, "", @progbits
.Lcu:
