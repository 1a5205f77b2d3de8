// Names that are no identifiers of C: templates, operators, lambdas, methods.
extern "C" void sink(long);

namespace shapes {
template <typename T> struct Point {
	T x, y;
	Point(T a, T b) : x(a), y(b) {}
	inline __attribute__((always_inline)) Point operator+(const Point &other) const
	{
		sink(static_cast<long>(other.x));
		return Point(x + other.x, y + other.y);
	}
	inline __attribute__((always_inline)) operator long() const { return static_cast<long>(x); }
};
template <typename T> inline __attribute__((always_inline)) T twice(T value)
{
	sink(static_cast<long>(value));
	return value + value;
}
// Static: the compiler writes no linkage name.
template <typename T> static inline __attribute__((always_inline)) T local(T value)
{
	sink(static_cast<long>(value) + 1);
	return value;
}
} // namespace shapes

struct Counter {
	long count;
	inline __attribute__((always_inline)) void add(long by) { sink(by); count += by; }
};

static inline __attribute__((always_inline)) long plain(long value)
{
	sink(value ^ 5);
	return value;
}

extern "C" __attribute__((noinline)) long entry(long a, long b)
{
	shapes::Point<long> sum = shapes::Point<long>(a, b) + shapes::Point<long>(b, a);
	Counter counter = { 0 };
	counter.add(a);
	auto mix = [&](long by) { sink(by ^ a); return by + b; };
	sink(mix(a) + mix(b));
	return shapes::twice<long>(a) + shapes::twice<int>(static_cast<int>(b)) + sum.y + static_cast<long>(sum) +
	       counter.count + plain(a) + shapes::local<long>(b);
}
