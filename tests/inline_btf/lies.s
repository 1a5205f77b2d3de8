# DWARF that no compiler writes: each entry is counted by its reason.
	UNIT
.Ltake:	FUNCTION take
.Lv:	PARAM v, .Llong
	END
.Lself:	DIE 14				# refers to itself
	REF .Lself
.Lround: DIE 14				# refer to each other
	REF .Lround2
.Lround2: DIE 14
	REF .Lround
.Lunnamed: DIE 18
	.byte 1
.Lloop:	DIE 3				# a pointer to itself
	.byte 8
	REF .Lloop
.Ltypedef: DIE 25			# a typedef of itself
	.asciz "self"
	REF .Ltypedef
.Lodd:	FUNCTION odd
.Lodd1:	PARAM looped, .Lloop
.Lodd2:	PARAM typed, .Ltypedef
.Lodd3:	PARAM nowhere, .Lcu_end + 0x100000
	END
	DIE 7
	.asciz "caller"
	.8byte caller
	.8byte 0x200
	SITE .Lself, 0x04
	END
	SITE .Lround, 0x08
	END
	SITE .Lunnamed, 0x0c
	END
	SITE .Lint, 0x10			# a type
	END
	SITE .Lcu_end + 0x1000, 0x14		# beyond the section
	END
	DIE 15					# the same by an offset of the section
	.4byte 0xfffffff0
	.8byte caller + 0x18
	.8byte 4
	END
	DIE 16					# no origin
	.8byte caller + 0x1c
	.8byte 4
	DIE 17					# no address
	REF .Ltake
	DIE 8					# address 0
	REF .Ltake
	.8byte 0
	.8byte 4
	END
	DIE 8					# in no section
	REF .Ltake
	.8byte 0x7000000000000000
	.8byte 4
	END
	SITE .Ltake, 0x20			# a list beyond the section
	LIST .Lv, 0x7fffffff
	END
	SITE .Ltake, 0x24			# an expression that ends in the middle
	AT .Lv, 0x03, 0, 0
	END
	SITE .Ltake, 0x28			# a parameter of another function
	AT .Lodd1, 0x55
	END
	SITE .Lodd, 0x2c
	AT .Lodd1, 0x50
	AT .Lodd2, 0x51
	AT .Lodd3, 0x52
	END
	# Ranges beyond the section.
	DIE 24
	REF .Ltake
	.4byte 0x7fffffff
	END
	END
	END
.Lcu_end:
