#include "core/rng.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <mutex>
#include <stdexcept>
#include <string>

#include "core/threads.hpp"

#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#define GU_HAS_FORK 1
#endif
#if defined(_MSC_VER) && !defined(__clang__)
#include <intrin.h>
#endif

namespace gu {
namespace {

// Salmon et al., "Parallel random numbers: as easy as 1, 2, 3" (2011): multipliers and key
// increments.
constexpr uint64_t kMultiplier0 = 0xD2E7470EE14C6C93, kMultiplier1 = 0xCA5A826395121157;
constexpr uint64_t kWeyl0 = 0x9E3779B97F4A7C15, kWeyl1 = 0xBB67AE8584CAA73B;
constexpr int kRounds = 10;

struct Product {
  uint64_t high, low;
};

inline Product multiply(uint64_t a, uint64_t b) {
#if defined(_MSC_VER) && !defined(__clang__)
  Product p;
  p.low = _umul128(a, b, &p.high);
  return p;
#else
  __extension__ using uint128 = unsigned __int128;
  const uint128 p = static_cast<uint128>(a) * b;
  return {static_cast<uint64_t>(p >> 64), static_cast<uint64_t>(p)};
#endif
}

// The block after `counter + skip`; the 256-bit counter carries into its second word.
inline void block_at(uint64_t key, uint64_t counter, uint64_t skip, uint64_t out[4]) {
  const uint64_t start = counter + skip;
  uint64_t x0 = start + 1, x1 = (start < skip || x0 == 0) ? 1 : 0, x2 = 0, x3 = 0;
  uint64_t key0 = key, key1 = 0;
  for (int round = 0; round < kRounds; ++round) {
    const Product p0 = multiply(kMultiplier0, x0), p1 = multiply(kMultiplier1, x2);
    x0 = p1.high ^ x1 ^ key0;
    x1 = p1.low;
    x2 = p0.high ^ x3 ^ key1;
    x3 = p0.low;
    key0 += kWeyl0;
    key1 += kWeyl1;
  }
  out[0] = x0;
  out[1] = x1;
  out[2] = x2;
  out[3] = x3;
}

constexpr int64_t kBlocksAPart = 512;  // fewer are done before another thread has begun

// Turns blocks into values, kPerBlock values a block, by write(words, values); the last block may
// be cut short.
template <int kPerBlock, class T, class Write>
void fill(T* out, int64_t n, uint64_t key, uint64_t counter, Write write) {
  const auto blocks = static_cast<int64_t>(blocks_for(n, kPerBlock));
  parallel_for(blocks, kBlocksAPart, [=](int64_t begin, int64_t end) {
    const int64_t whole = std::min(end, n / kPerBlock);
    uint64_t words[4];
    for (int64_t i = begin; i < whole; ++i) {
      block_at(key, counter, static_cast<uint64_t>(i), words);
      write(words, out + i * kPerBlock);
    }
    if (whole < end) {
      T last[kPerBlock];
      block_at(key, counter, static_cast<uint64_t>(whole), words);
      write(words, last);
      std::copy_n(last, n - whole * kPerBlock, out + whole * kPerBlock);
    }
  });
}

// Half i of the eight in a block, the low half of each word first.
inline uint32_t half(const uint64_t words[4], int i) {
  return static_cast<uint32_t>(words[i / 2] >> (32 * (i % 2)));
}

inline double to_double(uint64_t word) { return static_cast<double>(word >> 11) * 0x1p-53; }

inline void box_muller(uint64_t first, uint64_t second, double z[2]) {
  const double radius = std::sqrt(-2.0 * std::log(1.0 - to_double(first)));
  const double angle = 6.283185307179586 * to_double(second);
  z[0] = radius * std::cos(angle);
  z[1] = radius * std::sin(angle);
}

template <class T>
void fill_normal_as(T* out, int64_t n, uint64_t key, uint64_t counter) {
  fill<4>(out, n, key, counter, [](const uint64_t words[4], T* values) {
    double z[4];
    box_muller(words[0], words[1], z);
    box_muller(words[2], words[3], z + 2);
    for (int i = 0; i < 4; ++i) values[i] = static_cast<T>(z[i]);
  });
}

// One lock for all generators: it is held for nanoseconds, and one is simple to carry over a fork.
std::mutex& generator_mutex() {
  static std::mutex* const instance = [] {
    auto* made = new std::mutex;
#if GU_HAS_FORK
    pthread_atfork([] { generator_mutex().lock(); }, [] { generator_mutex().unlock(); },
                   [] { generator_mutex().unlock(); });
#endif
    return made;
  }();
  return *instance;
}

}  // namespace

void philox_block(uint64_t key, uint64_t counter, uint64_t out[4]) {
  block_at(key, counter, 0, out);
}

void fill_bits(uint64_t* out, int64_t n, uint64_t key, uint64_t counter) {
  fill<4>(out, n, key, counter,
          [](const uint64_t words[4], uint64_t* values) { std::copy_n(words, 4, values); });
}

void fill_uniform(double* out, int64_t n, uint64_t key, uint64_t counter) {
  fill<4>(out, n, key, counter, [](const uint64_t words[4], double* values) {
    for (int i = 0; i < 4; ++i) values[i] = to_double(words[i]);
  });
}

void fill_uniform(float* out, int64_t n, uint64_t key, uint64_t counter) {
  fill<8>(out, n, key, counter, [](const uint64_t words[4], float* values) {
    for (int i = 0; i < 8; ++i) values[i] = static_cast<float>(half(words, i) >> 8) * 0x1p-24f;
  });
}

void fill_normal(double* out, int64_t n, uint64_t key, uint64_t counter) {
  fill_normal_as(out, n, key, counter);
}

void fill_normal(float* out, int64_t n, uint64_t key, uint64_t counter) {
  fill_normal_as(out, n, key, counter);
}

void fill_bernoulli(uint8_t* out, int64_t n, double p, uint64_t key, uint64_t counter) {
  if (!(p >= 0.0 && p <= 1.0)) {
    throw std::invalid_argument("[bernoulli] p must be from 0 to 1, but got " + std::to_string(p));
  }
  const auto threshold = static_cast<uint64_t>(std::ceil(p * 0x1p32));  // 2^32 accepts every half
  fill<8>(out, n, key, counter, [threshold](const uint64_t words[4], uint8_t* values) {
    for (int i = 0; i < 8; ++i) values[i] = half(words, i) < threshold;
  });
}

void fill_integers(int64_t* out, int64_t n, int64_t low, int64_t high, uint64_t key,
                   uint64_t counter) {
  if (low >= high) {
    throw std::invalid_argument("[integers] low must be below high, but got " +
                                std::to_string(low) + " and " + std::to_string(high));
  }
  // Unsigned arithmetic wraps, so the widest range is right too.
  const uint64_t base = static_cast<uint64_t>(low), span = static_cast<uint64_t>(high) - base;
  fill<4>(out, n, key, counter, [base, span](const uint64_t words[4], int64_t* values) {
    for (int i = 0; i < 4; ++i) {
      values[i] = static_cast<int64_t>(base + multiply(words[i], span).high);
    }
  });
}

RandomState Generator::advance(uint64_t blocks) {
  const std::lock_guard lock(generator_mutex());
  if (blocks > std::numeric_limits<uint64_t>::max() - state_.counter) {
    throw std::overflow_error("[Generator] the stream of seed " + std::to_string(state_.seed) +
                              " is used up at block " + std::to_string(state_.counter));
  }
  const RandomState start = state_;
  state_.counter += blocks;
  return start;
}

RandomState Generator::state() const {
  const std::lock_guard lock(generator_mutex());
  return state_;
}

void Generator::set_state(const RandomState& state) {
  const std::lock_guard lock(generator_mutex());
  state_ = state;
}

Generator& default_generator() {
  static Generator* const instance = new Generator;  // never destroyed, like the pool
  return *instance;
}

}  // namespace gu
