// The least that is a program: its header must be the one that the target declares.
unsigned int word = 0x12345678u;
unsigned int zeroed;
static const char text[] = "crossmill";

unsigned int fold(const char *from, unsigned int seed) {
	while (*from)
		seed = seed * 31u + (unsigned char)*from++;
	return seed;
}

void _start(void) {
	for (;;)
		zeroed = fold(text, word);
}
