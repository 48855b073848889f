#pragma once
// One code point at a time out of UTF-8, and back. Nothing is read past the end, and what is not
// UTF-8 comes out as U+FFFD, one for each maximal broken sequence, as Python's errors="replace".

#include <cstddef>
#include <cstdint>
#include <string>

namespace gu::text {

struct Decoded {
  uint32_t point;
  uint32_t bytes;  // how many bytes it took, at least 1
};

inline Decoded decode_utf8(const uint8_t* text, std::size_t size) {
  constexpr uint32_t kBad = 0xFFFD;
  const uint8_t lead = text[0];
  if (lead < 0x80) return {lead, 1};
  // Bounds of the second byte keep out overlong forms and surrogates.
  uint32_t length, low = 0x80, high = 0xBF;
  if (lead >= 0xC2 && lead <= 0xDF) {
    length = 2;
  } else if (lead >= 0xE0 && lead <= 0xEF) {
    length = 3;
    if (lead == 0xE0) low = 0xA0;
    if (lead == 0xED) high = 0x9F;
  } else if (lead >= 0xF0 && lead <= 0xF4) {
    length = 4;
    if (lead == 0xF0) low = 0x90;
    if (lead == 0xF4) high = 0x8F;
  } else {
    return {kBad, 1};
  }
  uint32_t point = lead & (0x7Fu >> length);
  for (uint32_t i = 1; i < length; ++i) {
    if (i == size || text[i] < low || text[i] > high) return {kBad, i};
    point = point << 6 | (text[i] & 0x3Fu);
    low = 0x80, high = 0xBF;
  }
  return {point, length};
}

inline void append_utf8(std::string& out, uint32_t point) {
  if (point < 0x80) {
    out += static_cast<char>(point);
  } else if (point < 0x800) {
    out += static_cast<char>(0xC0 | point >> 6);
    out += static_cast<char>(0x80 | (point & 0x3F));
  } else if (point < 0x10000) {
    out += static_cast<char>(0xE0 | point >> 12);
    out += static_cast<char>(0x80 | (point >> 6 & 0x3F));
    out += static_cast<char>(0x80 | (point & 0x3F));
  } else {
    out += static_cast<char>(0xF0 | point >> 18);
    out += static_cast<char>(0x80 | (point >> 12 & 0x3F));
    out += static_cast<char>(0x80 | (point >> 6 & 0x3F));
    out += static_cast<char>(0x80 | (point & 0x3F));
  }
}

}  // namespace gu::text
