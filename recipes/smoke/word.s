	.data
	.globl	crossmill_word
crossmill_word:
	.long	0x12345678
