/* Calls that DWARF describes more than once, or not at all: parts that GCC splits off, functions of equal code,
   calls that begin together. main() calls each function as often as the test expects. */
int level = 1;
long total;

__attribute__((noinline)) void sink(long value, long place) { total += value + place; __asm__ volatile("" ::: "memory"); }

/* The rest is split off, and inlined back into the only copy. */
void guarded(long value)
{
	if (__builtin_expect(level == 0, 1))
		return;
	sink(value, 1); sink(value + 2, 2); sink(value + 3, 3); sink(value + 4, 4); sink(value + 5, 5); sink(value, 6);
	sink(value * 3, 7); sink(value, 8);
}
__attribute__((noinline, optimize("O0"))) void calls(long value) { guarded(value); }

/* The rest is split off; the copy and the caller share it. */
void split(long value)
{
	if (__builtin_expect(level == 0, 1))
		return;
	sink(value, 11); sink(value + 2, 12); sink(value + 3, 3); sink(value + 4, 4); sink(value + 5, 5); sink(value, 6);
	sink(value * 3, 7); sink(value, 18);
}
__attribute__((noinline)) void inlines(long value) { split(value); sink(value, 10); }

/* Equal to `split`: GCC shares the split-off part, and does not describe the copy. */
void twin(long value)
{
	if (__builtin_expect(level == 0, 1))
		return;
	sink(value, 11); sink(value + 2, 12); sink(value + 3, 3); sink(value + 4, 4); sink(value + 5, 5); sink(value, 6);
	sink(value * 3, 7); sink(value, 18);
}
__attribute__((noinline)) void inlines_twin(long value) { twin(value); sink(value, 11); }

/* Two calls that begin at one address. */
struct two { long first, second; } object = { 1, 2 };
static inline __attribute__((always_inline)) long field(struct two *two, long which) { return which ? two->first : two->second; }
__attribute__((noinline)) void fields(long value) { struct two *two = &object + value; sink(field(two, 0), field(two, 1)); }

int main(void)
{
	void (*volatile function)(long);
	function = calls; function(1);
	function = guarded; function(2);
	function = inlines; function(3);
	function = split; function(4);
	function = inlines_twin; function(5);
	function = twin; function(6);
	function = fields; function(0);
	return total == 0;
}
