#pragma once
// Where pieces begin, for 64 bytes of ASCII at once.
//
// A piece depends on nothing before it, so a window may begin at any piece. The classes of its
// bytes become bit masks (bit i is byte i), and the patterns formulas over them: x << 1 is "the
// byte before is an x", x >> 1 "the byte after". What a formula cannot say ends the window early,
// and the pattern in split.hpp takes over for one piece.

#include <bit>
#include <cstdint>
#include <cstring>

#if defined(__SSE2__)
#include <immintrin.h>
#endif

#include "text/split.hpp"

namespace gu::text {

#if defined(__AVX512BW__)

// 64 bytes, and which of them are what.
class Bytes64 {
 public:
  explicit Bytes64(const uint8_t* p) : v_(_mm512_loadu_si512(p)) {}
  uint64_t equal(uint8_t c) const {
    return _mm512_cmpeq_epi8_mask(v_, _mm512_set1_epi8(static_cast<char>(c)));
  }
  // first <= byte < first + count, of either case if `any_case`
  template <bool any_case = false>
  uint64_t in_range(uint8_t first, uint8_t count) const {
    const __m512i v = any_case ? _mm512_or_si512(v_, _mm512_set1_epi8(0x20)) : v_;
    return _mm512_cmplt_epu8_mask(_mm512_sub_epi8(v, _mm512_set1_epi8(static_cast<char>(first))),
                                  _mm512_set1_epi8(static_cast<char>(count)));
  }
  uint64_t not_ascii() const { return _mm512_movepi8_mask(v_); }

 private:
  __m512i v_;
};
#elif defined(__SSE2__)

class Bytes64 {
 public:
  explicit Bytes64(const uint8_t* p) {
    for (int i = 0; i < 4; ++i) {
      v_[i] = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p + 16 * i));
    }
  }
  uint64_t equal(uint8_t c) const {
    return gather(
        [&](__m128i v) { return _mm_cmpeq_epi8(v, _mm_set1_epi8(static_cast<char>(c))); });
  }
  template <bool any_case = false>
  uint64_t in_range(uint8_t first, uint8_t count) const {
    return gather([&](__m128i v) {
      if (any_case) v = _mm_or_si128(v, _mm_set1_epi8(0x20));
      v = _mm_sub_epi8(v, _mm_set1_epi8(static_cast<char>(first)));
      return _mm_cmpeq_epi8(_mm_min_epu8(v, _mm_set1_epi8(static_cast<char>(count - 1))), v);
    });
  }
  uint64_t not_ascii() const {
    return gather([](__m128i v) { return v; });
  }

 private:
  template <class F>
  uint64_t gather(F&& f) const {
    uint64_t mask = 0;
    for (int i = 0; i < 4; ++i) {
      mask |= static_cast<uint64_t>(static_cast<uint32_t>(_mm_movemask_epi8(f(v_[i])))) << (16 * i);
    }
    return mask;
  }
  __m128i v_[4];
};

#endif

#if defined(__SSE2__)

// Of the 64 bytes at p, where a piece begins, those after which pieces begin; bit 0 is not set. A
// set bit is certain, and so is every clear one below the highest set bit. At least one more byte
// must follow the 64.
template <Pattern pattern>
inline uint64_t piece_starts(const uint8_t* p) {
  constexpr bool gpt2 = pattern == Pattern::gpt2, o200k = pattern == Pattern::o200k;
  constexpr bool digits = pattern != Pattern::qwen2;  // more than one of them in a piece
  const Bytes64 bytes(p);
  const uint64_t space = bytes.equal(' ');
  const uint64_t newline = bytes.equal('\n') | bytes.equal('\r');
  const uint64_t white = space | bytes.in_range(9, 5);
  const uint64_t letter = bytes.template in_range<true>('a', 26);
  const uint64_t number = bytes.in_range('0', 10);
  const uint64_t symbol = ~(letter | white | number);
  // From the first byte that is not ASCII on nothing is known, nor what depends on it: the byte
  // before.
  const uint64_t foreign = bytes.not_ascii();
  uint64_t known = (foreign & -foreign) - 1;  // all ones where there is none

  // A symbol that begins a piece: no symbol is before it, and no space, which would begin the
  // piece.
  const uint64_t first_symbol = symbol & ~(symbol << 1) & ~(space << 1);
  uint64_t starts = first_symbol;
  if constexpr (gpt2) {
    starts |= (letter & ~(letter << 1) & ~(space << 1)) | (number & ~(number << 1) & ~(space << 1));
    starts |= (white & ~(white << 1)) | (white & ~(white >> 1));
  } else {
    // A word takes one character before it, unless that belongs to the piece before.
    const uint64_t attaches = (white & ~newline) | first_symbol;
    starts |= letter & ~(letter << 1) & ~(attaches << 1);
    if constexpr (o200k) {
      const uint64_t upper = bytes.in_range('A', 26);
      starts |= upper & ((letter & ~upper) << 1);
    }
    if constexpr (digits) {
      for (uint64_t group = number & ~(number << 1); group != 0;) {
        starts |= group;
        group = (group << 3) & number & (number << 1) & (number << 2);
      }
    } else {
      starts |= number;
    }
    // Line breaks right after symbols belong to them: adding the first of a run carries to its end.
    const uint64_t taken = newline & ~(newline + (newline & (symbol << 1)));
    const uint64_t left = white & ~taken, line = newline & ~taken, blank = left & ~newline;
    // Pieces of white space: up to the last line break, up to the last character but one, and that
    // one.
    const uint64_t indent = blank & (line << 1);
    starts |= (left & ~(left << 1)) | (blank & ~(white >> 1)) | indent;
    // Blanks between two line breaks are one piece with them, and in some patterns those up to the
    // end of the text. So where another line break comes, or may come after what is known, the
    // pattern decides.
    const uint64_t after_indent = blank + indent;
    const uint64_t again = after_indent & ~blank & (newline | foreign);
    if (again != 0 || after_indent < blank) {
      const uint64_t before = newline & (again != 0 ? (again & -again) - 1 : ~uint64_t{0});
      known &= std::bit_floor(before) - 1;
    }
    if constexpr (o200k) {
      if (const uint64_t slash = bytes.equal('/') & (taken << 1)) {
        known &= std::bit_floor(taken & ((slash & -slash) - 1)) - 1;
      }
    }
  }
  // 's and the like; the apostrophes of quotations go through here as well.
  uint64_t apostrophes = bytes.equal('\'') & (letter >> 1) & known;
  apostrophes &= o200k ? letter << 1 : first_symbol;
  for (uint64_t after_last = 0; apostrophes != 0; apostrophes &= apostrophes - 1) {
    const int at = std::countr_zero(apostrophes);
    const uint64_t bit = apostrophes & -apostrophes;
    if (o200k && bit & after_last) continue;  // only one belongs to a word
    if (at > 60) {
      known &= bit - 1;
      break;
    }
    const auto length = split_detail::contraction<!gpt2>(p + at, p + 64);
    if (length == 0) continue;
    after_last = bit << length;
    starts &= o200k ? ~(after_last - bit) : ~(after_last - 2 * bit);
    starts |= after_last;
  }
  return starts & (known >> 1) & ~uint64_t{1};
}

#endif

// Calls piece(begin, end) for each piece of text[0, size) in order.
template <Pattern pattern, class F>
void split_fast(const uint8_t* text, std::size_t size, F&& piece) {
  const uint8_t* const end = text + size;
  for (const uint8_t* p = text; p < end;) {
    const uint8_t* ends[64];
    std::size_t n = 0;
#if defined(__SSE2__)
    if constexpr (pattern != Pattern::whitespace && pattern != Pattern::none) {
      const auto left = static_cast<std::size_t>(end - p);
      if (left > 4 && (p[0] | p[1]) < 0x80) {
        const uint8_t* window = p;
        uint8_t last[64];
        if (left <= 64) {  // what comes after the text is not known, as what is not ASCII
          std::memset(last, 0xff, sizeof(last));
          std::memcpy(last, p, left);
          window = last;
        }
        for (uint64_t starts = piece_starts<pattern>(window); starts != 0; starts &= starts - 1) {
          ends[n++] = p + std::countr_zero(starts);
        }
      }
    }
#endif
    if (n == 0) ends[n++] = piece_end<pattern>(p, end);
    for (std::size_t i = 0; i < n; ++i) {  // the only call, so that it is inlined
      piece(p, ends[i]);
      p = ends[i];
    }
  }
}

}  // namespace gu::text
