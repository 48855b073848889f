// Random numbers by counter: Philox4x64-10, the stream of numpy.random.Philox(key=key,
// counter=counter).
//
// Block i of a stream is a function of (key, counter + i) alone, so any thread can make any part of
// it, and what a fill writes does not depend on the number of threads. The NumPy lines below are
// the contract. They all start from (little-endian machines)
//   words = np.random.Philox(key=key, counter=counter).random_raw(4 * blocks)   # uint64
//   halves = words.view(np.uint32)                                              # low half first
#pragma once

#include <cstdint>

namespace gu {

// The first four words of numpy.random.Philox(key=key, counter=counter). NumPy increments the
// counter before it makes a block, and so does this.
void philox_block(uint64_t key, uint64_t counter, uint64_t out[4]);

// Each fill writes n values and consumes the blocks that its blocks_for_... tells; the next fill of
// the same stream begins at counter + that many. n <= 0 writes nothing.
constexpr uint64_t blocks_for(int64_t n, int per_block) {
  return n <= 0 ? 0 : (static_cast<uint64_t>(n) - 1) / static_cast<uint64_t>(per_block) + 1;
}
constexpr uint64_t blocks_for_bits(int64_t n) { return blocks_for(n, 4); }
template <class T>  // float or double
constexpr uint64_t blocks_for_uniform(int64_t n) {
  return blocks_for(n, sizeof(T) == 4 ? 8 : 4);
}
constexpr uint64_t blocks_for_normal(int64_t n) { return blocks_for(n, 4); }
constexpr uint64_t blocks_for_bernoulli(int64_t n) { return blocks_for(n, 8); }
constexpr uint64_t blocks_for_integers(int64_t n) { return blocks_for(n, 4); }

// words[:n]
void fill_bits(uint64_t* out, int64_t n, uint64_t key, uint64_t counter);

// Uniform on [0, 1): np.random.Generator(np.random.Philox(key=key, counter=counter)).random(n,
// dtype)
//   float64: (words[:n] >> 11) * 2.0**-53
//   float32: (halves[:n] >> 8) * np.float32(2.0**-24)
void fill_uniform(double* out, int64_t n, uint64_t key, uint64_t counter);
void fill_uniform(float* out, int64_t n, uint64_t key, uint64_t counter);

// Standard normal by Box and Muller: each two words make two values. Always computed in double, so
// a float is the rounded double of the same place.
//   u = (words >> 11) * 2.0**-53
//   radius = np.sqrt(-2.0 * np.log(1.0 - u[0::2]))           # 1 - u is never 0
//   angle = 6.283185307179586 * u[1::2]
//   z = np.empty(len(words))
//   z[0::2], z[1::2] = radius * np.cos(angle), radius * np.sin(angle)
//   z[:n].astype(dtype)
// Equal to that up to the last bits of log, sin and cos, which mathematical libraries round
// differently.
void fill_normal(double* out, int64_t n, uint64_t key, uint64_t counter);
void fill_normal(float* out, int64_t n, uint64_t key, uint64_t counter);

// 1 with probability p, else 0 (p in [0, 1], or std::invalid_argument); exact at p = 0 and p = 1.
//   (halves[:n] < math.ceil(p * 2**32)).astype(np.uint8)
void fill_bernoulli(uint8_t* out, int64_t n, double p, uint64_t key, uint64_t counter);

// Integers on [low, high) by multiply and shift (low < high, or std::invalid_argument). The bias is
// below (high - low) / 2^64.
//   [low + ((int(w) * (high - low)) >> 64) for w in words[:n]]
// or, without Python integers, where high - low < 2^32:
//   span = np.uint64(high - low)
//   top = (words >> 32) * span + (((words & 0xFFFFFFFF) * span) >> 32)
//   low + (top >> 32).astype(np.int64)
void fill_integers(int64_t* out, int64_t n, int64_t low, int64_t high, uint64_t key,
                   uint64_t counter);

// Where a stream stands: the next block is philox_block(seed, counter).
struct RandomState {
  uint64_t seed = 0;
  uint64_t counter = 0;
  bool operator==(const RandomState&) const = default;
};

// Hands out disjoint pieces of one stream; threads may share it, and it survives a fork.
class Generator {
 public:
  explicit Generator(uint64_t seed = 0) : state_{seed, 0} {}
  Generator(const Generator& other) : state_(other.state()) {}
  Generator& operator=(const Generator& other) {
    set_state(other.state());
    return *this;
  }

  // Reserves so many blocks and returns where they begin. std::overflow_error once a stream's 2^64
  // blocks are used up.
  RandomState advance(uint64_t blocks);

  RandomState state() const;
  void set_state(const RandomState& state);
  void seed(uint64_t seed) { set_state({seed, 0}); }

 private:
  RandomState state_;
};

// The process's own, which ops use that are given no other. Seed 0 until somebody seeds it.
Generator& default_generator();

}  // namespace gu
