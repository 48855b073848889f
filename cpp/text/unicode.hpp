#pragma once
// Unicode: the general category of a code point, white space, and UTF-8 that is read with care.

#include <cstddef>
#include <cstdint>

namespace gu::text {

// The order of tools/unicode_tables.py.
// clang-format off
enum class Category : uint8_t {
  Lu, Ll, Lt, Lm, Lo, Mn, Mc, Me, Nd, Nl, No, Pc, Pd, Ps, Pe,
  Pi, Pf, Po, Sm, Sc, Sk, So, Zs, Zl, Zp, Cc, Cf, Cs, Co, Cn
};
// clang-format on

// The table's entry of a code point below 0x110000: its category, and 0x20 if it is white space.
uint8_t unicode_entry(uint32_t point);

inline Category category(uint32_t point) {
  return static_cast<Category>(unicode_entry(point) & 0x1f);
}
inline bool is_white_space(uint32_t point) { return (unicode_entry(point) & 0x20) != 0; }
inline bool is_letter(uint32_t point) { return category(point) <= Category::Lo; }
inline bool is_mark(uint32_t point) {
  const Category c = category(point);
  return c >= Category::Mn && c <= Category::Me;
}
inline bool is_number(uint32_t point) {
  const Category c = category(point);
  return c >= Category::Nd && c <= Category::No;
}
inline bool is_punctuation(uint32_t point) {
  const Category c = category(point);
  return c >= Category::Pc && c <= Category::Po;
}

inline constexpr uint32_t kNotUtf8 = 0xffffffff;

struct Decoded {
  uint32_t point;   // kNotUtf8 where no character begins
  uint32_t length;  // bytes; 1 where no character begins
};

// The character at p < end. Overlong forms, surrogates and what lies above U+10FFFF are not UTF-8.
inline Decoded decode_utf8(const uint8_t* p, const uint8_t* end) {
  const uint32_t a = p[0];
  const auto left = end - p;
  const auto tail = [&](int i) { return p[i] & 0x3fu; };
  const auto is_tail = [&](int i) { return (p[i] & 0xc0u) == 0x80u; };
  if (a < 0x80) return {a, 1};
  if (a >= 0xc2 && a < 0xe0) {
    if (left >= 2 && is_tail(1)) return {(a & 0x1f) << 6 | tail(1), 2};
  } else if (a >= 0xe0 && a < 0xf0) {
    if (left >= 3 && is_tail(1) && is_tail(2)) {
      const uint32_t point = (a & 0x0f) << 12 | tail(1) << 6 | tail(2);
      if (point >= 0x800 && (point < 0xd800 || point >= 0xe000)) return {point, 3};
    }
  } else if (a >= 0xf0 && a < 0xf5) {
    if (left >= 4 && is_tail(1) && is_tail(2) && is_tail(3)) {
      const uint32_t point = (a & 0x07) << 18 | tail(1) << 12 | tail(2) << 6 | tail(3);
      if (point >= 0x10000 && point < 0x110000) return {point, 4};
    }
  }
  return {kNotUtf8, 1};
}

}  // namespace gu::text
