// Philox against NumPy's values, and every fill against its formula on those words.
#include "core/rng.hpp"

#include <atomic>
#include <cmath>
#include <cstdint>
#include <limits>
#include <set>
#include <stdexcept>
#include <thread>
#include <vector>

#include "check.hpp"
#include "core/threads.hpp"

namespace {

// np.random.Philox(key=key, counter=counter).random_raw(8), NumPy 2.4; the last two cross 2^64.
struct Known {
  uint64_t key, counter, words[8];
};
constexpr Known kKnown[] = {
    {0x0,
     0x0,
     {0x02f4ba6408e4d89b, 0x3dd62b0b9ca8c5b2, 0x1c8667a55d902e79, 0x907d7a052fd5b4dc,
      0x809bf322883987c3, 0x471128b9e807f7dd, 0xf250ba0dbec065b7, 0xfc6ed66767a457bc}},
    {0x1,
     0x0,
     {0x4db6a27b756282df, 0xd944fa03babe0e2f, 0x27f872e577060d32, 0x07f697696a0482a2,
      0xe677fe4bbd0452ec, 0x0d543dba56d1e799, 0xbebe12cad0eb4d9e, 0x3f0b4abd55f61f3d}},
    {0x3039,
     0x7,
     {0xacc08e5ed06182a2, 0xd7cfae7b917f4586, 0x2410430a2616cafc, 0xf46751f3e04a9bdb,
      0xb87630bb6b387010, 0xd152627de674fd5a, 0x748fb6fdcd0bb523, 0x57deeb0eb4f9504f}},
    {0xffffffffffffffff,
     0xffffffffffffffff,
     {0xe23d141355b65d09, 0x0885845897c1f936, 0x0f0023f1538b3534, 0x2163c75b2f7fece9,
      0xb22448f8bc385067, 0x52d1bd285a1a849e, 0x5dc0edd813f15d1a, 0xaadfae986613235c}},
    {0x2a,
     0xfffffffffffffffe,
     {0x607bd1a2a6aad101, 0xfda7111a8e7cfff7, 0x001a0c59ed8f3287, 0x2a181a5bbfeb323f,
      0x13fe1ddbb29d354c, 0xdc10850029c437f2, 0xaa996df8af642547, 0x580ac26f823b6147}},
};

constexpr int64_t kLengths[] = {0, 1, 2, 3, 4, 5, 7, 8, 9, 31, 1000, 40'003};

std::vector<uint64_t> words_of(int64_t n, uint64_t key, uint64_t counter) {
  std::vector<uint64_t> words(static_cast<size_t>((n + 3) / 4 * 4));
  gu::fill_bits(words.data(), n, key, counter);
  for (size_t i = static_cast<size_t>(n / 4 * 4); i < words.size(); i += 4) {
    gu::philox_block(key, counter + i / 4, words.data() + i);
  }
  return words;
}

uint32_t half(const std::vector<uint64_t>& words, size_t i) {
  return static_cast<uint32_t>(i % 2 == 0 ? words[i / 2] : words[i / 2] >> 32);
}

// Fills n values, with a guard behind them that must stay, on 1 and on 3 threads; both must be
// equal.
template <class T, class Fill>
std::vector<T> filled(int64_t n, T guard, Fill fill) {
  const auto length = static_cast<size_t>(n);
  std::vector<T> one(length + 1, guard), three(length + 1, guard);
  gu::set_num_threads(1);
  fill(one.data());
  gu::set_num_threads(3);
  fill(three.data());
  CHECK(one == three);
  CHECK(one[length] == guard);
  one.resize(length);
  return one;
}

}  // namespace

TEST(words_are_numpys) {
  for (const Known& known : kKnown) {
    uint64_t words[8] = {};
    gu::fill_bits(words, 8, known.key, known.counter);
    for (int i = 0; i < 8; ++i) CHECK(words[i] == known.words[i]);
    gu::philox_block(known.key, known.counter, words);
    for (int i = 0; i < 4; ++i) CHECK(words[i] == known.words[i]);
  }
}

TEST(bits_of_any_length_are_the_blocks) {
  for (int64_t n : kLengths) {
    const auto bits =
        filled<uint64_t>(n, 99, [=](uint64_t* out) { gu::fill_bits(out, n, 5, 1000); });
    for (int64_t i = 0; i < n; ++i) {
      uint64_t block[4];
      gu::philox_block(5, 1000 + static_cast<uint64_t>(i / 4), block);
      CHECK(bits[static_cast<size_t>(i)] == block[i % 4]);
    }
  }
}

TEST(uniforms_follow_their_formula) {
  for (int64_t n : kLengths) {
    const auto words = words_of(n, 7, 3);
    const auto wide = filled<double>(n, -1.0, [=](double* out) { gu::fill_uniform(out, n, 7, 3); });
    const auto narrow =
        filled<float>(n, -1.0f, [=](float* out) { gu::fill_uniform(out, n, 7, 3); });
    for (size_t i = 0; i < wide.size(); ++i) {
      CHECK(wide[i] == std::ldexp(static_cast<double>(words[i] >> 11), -53));
      CHECK(narrow[i] == std::ldexp(static_cast<float>(half(words, i) >> 8), -24));
      CHECK(wide[i] >= 0.0 && wide[i] < 1.0 && narrow[i] >= 0.0f && narrow[i] < 1.0f);
    }
  }
}

TEST(normals_follow_their_formula) {
  for (int64_t n : kLengths) {
    const auto words = words_of(n + 1, 11, 0);
    const auto wide =
        filled<double>(n, -99.0, [=](double* out) { gu::fill_normal(out, n, 11, 0); });
    const auto narrow =
        filled<float>(n, -99.0f, [=](float* out) { gu::fill_normal(out, n, 11, 0); });
    for (size_t i = 0; i < wide.size(); ++i) {
      const double u = std::ldexp(static_cast<double>(words[i / 2 * 2] >> 11), -53);
      const double v = std::ldexp(static_cast<double>(words[i / 2 * 2 + 1] >> 11), -53);
      const double radius = std::sqrt(-2.0 * std::log(1.0 - u)), angle = 6.283185307179586 * v;
      const double expected = radius * (i % 2 == 0 ? std::cos(angle) : std::sin(angle));
      CHECK(std::abs(wide[i] - expected) <= 4e-16 * std::abs(expected));
      CHECK(narrow[i] == static_cast<float>(wide[i]));
    }
  }
}

TEST(normals_have_the_moments) {
  const int64_t n = 400'000;
  std::vector<double> z(static_cast<size_t>(n));
  gu::fill_normal(z.data(), n, 2024, 0);
  double m1 = 0, m2 = 0, m3 = 0, m4 = 0, neighbours = 0;
  for (size_t i = 0; i < z.size(); ++i) {
    m1 += z[i], m2 += z[i] * z[i], m3 += std::pow(z[i], 3), m4 += std::pow(z[i], 4);
    neighbours += z[i] * z[i ^ 1];
  }
  // Five standard errors of each mean over n samples.
  const double root = std::sqrt(static_cast<double>(n)), count = static_cast<double>(n);
  CHECK(std::abs(m1 / count) < 5 / root);
  CHECK(std::abs(m2 / count - 1) < 5 * std::sqrt(2.0) / root);
  CHECK(std::abs(m3 / count) < 5 * std::sqrt(15.0) / root);
  CHECK(std::abs(m4 / count - 3) < 5 * std::sqrt(96.0) / root);
  CHECK(std::abs(neighbours / count) < 5 * std::sqrt(2.0) / root);
}

TEST(bernoulli_follows_its_formula) {
  for (double p : {0.0, 1e-12, 0.1, 0.5, 0.9, 1.0}) {
    const auto threshold = static_cast<uint64_t>(std::ceil(p * 4294967296.0));
    for (int64_t n : kLengths) {
      const auto words = words_of(n, 3, 1);
      const auto draws =
          filled<uint8_t>(n, 77, [=](uint8_t* out) { gu::fill_bernoulli(out, n, p, 3, 1); });
      for (size_t i = 0; i < draws.size(); ++i) CHECK(draws[i] == (half(words, i) < threshold));
    }
  }
  uint8_t draw;
  for (double p : {-0.1, 1.1, std::numeric_limits<double>::quiet_NaN()}) {
    CHECK_THROWS(gu::fill_bernoulli(&draw, 1, p, 0, 0), std::invalid_argument,
                 "[bernoulli] p must be from 0 to 1, but got");
  }
}

TEST(integers_follow_their_formula) {
  constexpr int64_t least = std::numeric_limits<int64_t>::min(),
                    most = std::numeric_limits<int64_t>::max();
  const std::pair<int64_t, int64_t> bounds[] = {
      {0, 1}, {0, 10}, {-5, 6}, {0, int64_t{1} << 40}, {least, most}, {most - 1, most}};
  for (const auto& [low, high] : bounds) {
    for (int64_t n : kLengths) {
      const auto words = words_of(n, 13, 2);
      const auto values = filled<int64_t>(n, 12345, [=, low = low, high = high](int64_t* out) {
        gu::fill_integers(out, n, low, high, 13, 2);
      });
      // The high word of word * span, from 32-bit limbs.
      const uint64_t span = static_cast<uint64_t>(high) - static_cast<uint64_t>(low);
      const uint64_t s1 = span >> 32, s0 = span & 0xFFFFFFFF;
      for (size_t i = 0; i < values.size(); ++i) {
        const uint64_t w1 = words[i] >> 32, w0 = words[i] & 0xFFFFFFFF;
        const uint64_t middle = w1 * s0 + ((w0 * s0) >> 32);
        const uint64_t middle2 = w0 * s1 + (middle & 0xFFFFFFFF);
        const uint64_t top = w1 * s1 + (middle >> 32) + (middle2 >> 32);
        CHECK(values[i] == static_cast<int64_t>(static_cast<uint64_t>(low) + top));
        CHECK(values[i] >= low && values[i] < high);
      }
    }
  }
  int64_t value;
  CHECK_THROWS(gu::fill_integers(&value, 1, 3, 3, 0, 0), std::invalid_argument,
               "[integers] low must be below high, but got 3 and 3");
}

TEST(pieces_join_without_gap_or_overlap) {
  // 8 + 8 uniforms from two reservations are 16 from one.
  gu::Generator generator(21);
  std::vector<float> joined(16), whole(16);
  for (int piece = 0; piece < 2; ++piece) {
    const auto at = generator.advance(gu::blocks_for_uniform<float>(8));
    gu::fill_uniform(joined.data() + 8 * piece, 8, at.seed, at.counter);
  }
  gu::fill_uniform(whole.data(), 16, 21, 0);
  CHECK(joined == whole);
  CHECK(gu::blocks_for_uniform<float>(9) == 2 && gu::blocks_for_uniform<double>(9) == 3);
  CHECK(gu::blocks_for_normal(0) == 0 && gu::blocks_for_bernoulli(8) == 1);
  CHECK(gu::blocks_for_bits(std::numeric_limits<int64_t>::max()) == uint64_t{1} << 61);
}

TEST(generator_is_shared_safely) {
  gu::Generator generator(4);
  std::vector<std::vector<uint64_t>> starts(4);
  std::vector<std::thread> threads;
  for (auto& mine : starts) {
    threads.emplace_back([&] {
      for (int i = 0; i < 1000; ++i) mine.push_back(generator.advance(3).counter);
    });
  }
  for (auto& thread : threads) thread.join();
  std::set<uint64_t> all;
  for (const auto& mine : starts) all.insert(mine.begin(), mine.end());
  CHECK(all.size() == 4000 && *all.rbegin() == 3 * 3999);
  CHECK((generator.state() == gu::RandomState{4, 12'000}));
}

TEST(generator_state_round_trips_and_ends) {
  gu::Generator generator(9);
  generator.advance(5);
  const gu::RandomState saved = generator.state();
  const gu::Generator copy = generator;
  generator.seed(10);
  CHECK((generator.state() == gu::RandomState{10, 0}));
  generator.set_state(saved);
  CHECK((generator.state() == gu::RandomState{9, 5}) && copy.state() == saved);
  generator.set_state({9, std::numeric_limits<uint64_t>::max() - 1});
  CHECK_THROWS(generator.advance(2), std::overflow_error, "[Generator] the stream of seed 9");
  CHECK(generator.advance(1).counter == std::numeric_limits<uint64_t>::max() - 1);
  CHECK(&gu::default_generator() == &gu::default_generator());
}

RUN_TESTS()
