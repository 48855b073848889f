// One pool of threads for the whole process, and static splits of work over it.
//
// A split depends only on the amount of work and on num_threads(), never on timing, so a result
// that depends on the split (a sum a part, say) is bit-equal from run to run. For the same reason
// the split stays as it is when the parts have to run one after another on the calling thread: in a
// call from inside another parallel loop, or while another thread's loop has the pool.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <type_traits>

namespace gu {

inline constexpr int kMaxThreads = 256;

// Threads a parallel loop may use, the calling one included. At first: GROUNDUP_NUM_THREADS, or
// else the hardware threads that this process may run on. A value outside [1, 256] is an
// std::invalid_argument.
int num_threads();
void set_num_threads(int n);

namespace detail {
using PartFunction = void (*)(void* context, int part);
void run_parts(int parts, PartFunction function, void* context);
}  // namespace detail

// body(part) for every part in [0, parts). Thread t takes parts t, t + threads, ...; the caller is
// thread 0. If bodies throw, the loop ends, parts not yet begun may be skipped, and the caller gets
// the first exception.
template <class F>
void parallel_parts(int parts, F&& body) {
  if (parts == 1) {
    body(0);
    return;
  }
  using Body = std::remove_reference_t<F>;
  detail::run_parts(
      parts, [](void* context, int part) { (*static_cast<Body*>(context))(part); },
      const_cast<void*>(static_cast<const void*>(std::addressof(body))));
}

struct Range {
  int64_t begin, end;
};

// How many parts parallel_for makes of [0, n): one a thread at most, none smaller than grain unless
// n is.
inline int split_parts(int64_t n, int64_t grain) {
  if (n <= 0) return 0;
  const int64_t most = n / std::max<int64_t>(grain, 1);
  return static_cast<int>(std::clamp<int64_t>(most, 1, num_threads()));
}

// The given one of `parts` contiguous parts of [0, n); lengths differ by at most one, longer ones
// first.
inline Range part_range(int64_t n, int parts, int part) {
  const int64_t length = n / parts, longer = n % parts;
  const int64_t begin = part * length + std::min<int64_t>(part, longer);
  return {begin, begin + length + (part < longer ? 1 : 0)};
}

// body(begin, end) once for each part of [0, n); not called at all when n <= 0.
template <class F>
void parallel_for(int64_t n, int64_t grain, F&& body) {
  const int parts = split_parts(n, grain);
  if (parts == 0) return;
  if (parts == 1) {
    body(int64_t{0}, n);
    return;
  }
  parallel_parts(parts, [&](int part) {
    const Range range = part_range(n, parts, part);
    body(range.begin, range.end);
  });
}

}  // namespace gu
