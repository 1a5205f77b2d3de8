# Every form of location, in sites whose results are known.
	UNIT
.Ltake:	FUNCTION take
.Lv:	PARAM v, .Llong
	END
.Lint1:	FUNCTION take_int
.Li:	PARAM i, .Lint
	END
.Lpairs: FUNCTION take_pair
.Lp:	PARAM p, .Lpair
	END
.Lbigs:	FUNCTION take_big
.Lb:	PARAM b, .Lbig
	END
.Ltwo:	FUNCTION two
.Lfirst: PARAM first, .Llong
.Lsecond: PARAM second, .Lchar
	END
.Lvar:	FUNCTION variadic
.Lformat: PARAM format, .Lptr
	DIE 6
	END
.Lnone:	FUNCTION nothing
	END
	# A chain: an instance that refers to another, which refers to the function.
.Lchain: DIE 14
	REF .Lchain2
.Lchain2: DIE 14
	REF .Ltake
	# The copy out of line.
	DIE 23
	REF .Ltwo
	.8byte caller + 0x180
	.8byte 4

	DIE 7
	.asciz "caller"
	.8byte caller
	.8byte 0x200
	SITE .Ltake, 0x04
	AT .Lv, 0x55				# reg5
	END
	SITE .Ltake, 0x08
	AT .Lv, 0x76, 0x70			# breg6 -16
	END
	SITE .Ltake, 0x0c
	AT .Lv, 0x76, 0x70, 0x9f		# breg6 -16, stack_value
	END
	SITE .Ltake, 0x10
	AT .Lv, 0x91, 0x68			# fbreg -24
	END
	SITE .Ltake, 0x14
	DIE 11					# const_value -2
	REF .Lv
	.sleb128 -2
	END
	SITE .Ltake, 0x18
	DIE 9					# addr caller, stack_value
	REF .Lv
	.uleb128 10
	.byte 3
	.8byte caller
	.byte 0x9f
	END
	SITE .Ltake, 0x1c
	AT .Lv, 0xa3, 1, 0x55, 0x9f		# entry_value(reg5), stack_value
	END
	SITE .Ltake, 0x20
	DIE 12					# nothing at all
	REF .Lv
	END
	SITE .Ltake, 0x24			# not mentioned
	END
	SITE .Ltake, 0x28
	LIST .Lv, .Llist			# the entry that covers 0x28
	END
	SITE .Ltake, 0x2c
	LIST .Lv, .Llist			# none covers 0x2c
	END
	SITE .Ltake, 0x30
	LIST .Lv, .Llist			# only an empty range
	END
	SITE .Lint1, 0x34
	AT .Li, 9, 0xff, 0x9f			# const1s -1, stack_value
	END
	SITE .Lint1, 0x38
	DIE 20					# const_value, block of four bytes
	REF .Li
	.byte 4, 1, 2, 0, 0
	END
	SITE .Lpairs, 0x3c
	AT .Lp, 0x55, 0x93, 8, 0x54, 0x93, 8	# reg5 piece 8, reg4 piece 8
	END
	SITE .Lbigs, 0x40
	AT .Lb, 0x76, 0				# 24 bytes in memory
	END
	SITE .Ltwo, 0x44			# the second only: no shift
	AT .Lsecond, 0x51
	END
	SITE .Ltwo, 0x48			# the other way round
	AT .Lsecond, 0x51
	AT .Lfirst, 0x50
	END
	SITE .Lvar, 0x4c
	AT .Lformat, 0x55
	END
	SITE .Lnone, 0x50
	END
	SITE .Lchain, 0x54			# through the chain
	AT .Lv, 0x55
	END
	# Nested: the inner one's parameter is not the outer's.
	SITE .Ltake, 0x58
	AT .Lv, 0x50
	DIE 21
	SITE .Ltake, 0x5a
	AT .Lv, 0x51
	END
	END
	END
	# Three ranges, entered in the second.
	DIE 13
	REF .Ltake
	.8byte caller + 0x70
	.4byte .Lranges
	LIST .Lv, .Llist2
	END
	# A sibling between its ranges.
	SITE .Lnone, 0x68
	END
	# entry_pc as an offset from low_pc.
	DIE 22
	REF .Lnone
	.2byte 8
	.8byte caller + 0x90
	.8byte 0x10
	END
	# Ranges alone: the lowest address counts.
	DIE 24
	REF .Lnone
	.4byte .Lranges2
	END
	# The same as an earlier one.
	SITE .Ltake, 0x04
	AT .Lv, 0x55
	END
	END
	DIE 7
	.asciz "init_caller"
	.8byte init_caller
	.8byte 0x40
	DIE 8
	REF .Lnone
	.8byte init_caller + 8
	.8byte 4
	END
	END
	END
.Lcu_end:

	.section .debug_loclists, "", @progbits
.Llist:
	.byte 4
	.uleb128 0x00
	.uleb128 0x28
	EXPR 0x50
	.byte 4
	.uleb128 0x28
	.uleb128 0x2c
	EXPR 0x53
	.byte 4
	.uleb128 0x30
	.uleb128 0x30
	EXPR 0x54
	.byte 0
.Llist2:
	.byte 4
	.uleb128 0x60
	.uleb128 0x64
	EXPR 0x50
	.byte 4
	.uleb128 0x70
	.uleb128 0x74
	EXPR 0x5c
	.byte 0
	.section .debug_rnglists, "", @progbits
.Lranges:
	.byte 4
	.uleb128 0x60
	.uleb128 0x64
	.byte 4
	.uleb128 0x70
	.uleb128 0x78
	.byte 4
	.uleb128 0x80
	.uleb128 0x84
	.byte 0
.Lranges2:
	.byte 4
	.uleb128 0xb8
	.uleb128 0xbc
	.byte 4
	.uleb128 0xb0
	.uleb128 0xb4
	.byte 0
