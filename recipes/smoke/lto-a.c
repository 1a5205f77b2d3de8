int crossmill_other_file(int);
volatile int result;

void _start(void) {
	for (;;)
		result = crossmill_other_file(20);
}
