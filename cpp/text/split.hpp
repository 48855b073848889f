#pragma once
// Pre-tokenization: a text is cut into pieces, and no token ever crosses a cut.
//
// The patterns are those of published tokenizers. There they are regular expressions; here each is
// written out by hand, as a function from the start of a piece to its end. What the expressions
// find by backtracking is decided by looking at the classes of one or two characters.

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "text/unicode.hpp"

namespace gu::text {

enum class Pattern {
  gpt2,        // GPT-2, r50k, p50k
  cl100k,      // GPT-3.5 and GPT-4, as tiktoken has it
  cl100k_old,  // the same before tiktoken let white space at the end be one piece; Llama 3
  qwen2,       // cl100k_old with single digits
  o200k,       // GPT-4o: words end where lower case turns into upper
  whitespace,  // words with the space before them
  none,        // the whole text is one piece
};

// The regular expression that a pattern is, by its name; an unknown name is a ValueError.
Pattern pattern_from_name(std::string_view name);

namespace split_detail {

// Classes of characters, as bits so that a set of classes is one mask.
inline constexpr uint8_t kOther = 1, kUpper = 2, kLower = 4, kUncased = 8, kMark = 16, kNumber = 32,
                         kSpace = 64, kNewline = 128;
inline constexpr uint8_t kLetter = kUpper | kLower | kUncased;
inline constexpr uint8_t kWhite = kSpace | kNewline;
inline constexpr uint8_t kSymbol = kOther | kMark;  // [^\s\p{L}\p{N}]
// The two overlapping halves of a word in o200k.
inline constexpr uint8_t kHead = kUpper | kUncased | kMark;
inline constexpr uint8_t kTail = kLower | kUncased | kMark;

constexpr uint8_t class_of_entry(unsigned entry) {
  if (entry & 0x20) return kSpace;
  switch (static_cast<Category>(entry & 0x1f)) {
    case Category::Lu:
    case Category::Lt:
      return kUpper;
    case Category::Ll:
      return kLower;
    case Category::Lm:
    case Category::Lo:
      return kUncased;
    case Category::Mn:
    case Category::Mc:
    case Category::Me:
      return kMark;
    case Category::Nd:
    case Category::Nl:
    case Category::No:
      return kNumber;
    default:
      return kOther;
  }
}

inline constexpr auto kClassOfEntry = [] {
  std::array<uint8_t, 64> table{};
  for (unsigned i = 0; i < 64; ++i) table[i] = class_of_entry(i);
  return table;
}();

inline constexpr auto kAscii = [] {
  std::array<uint8_t, 128> table{};
  for (unsigned c = 0; c < 128; ++c) {
    table[c] = kOther;
    if (c >= 'A' && c <= 'Z') table[c] = kUpper;
    if (c >= 'a' && c <= 'z') table[c] = kLower;
    if (c >= '0' && c <= '9') table[c] = kNumber;
    if (c == ' ' || (c >= 9 && c <= 13)) table[c] = kSpace;
    if (c == '\r' || c == '\n') table[c] = kNewline;
  }
  return table;
}();

struct Char {
  uint8_t kind;    // a class; 0 at the end of the text
  uint8_t length;  // bytes
};

// The character of more than one byte at p < end; a byte that is not UTF-8 counts as a symbol.
inline Char wide_char(const uint8_t* p, const uint8_t* end) {
  const Decoded d = decode_utf8(p, end);
  if (d.point == kNotUtf8) return {kOther, 1};
  return {kClassOfEntry[unicode_entry(d.point)], static_cast<uint8_t>(d.length)};
}

inline Char char_at(const uint8_t* p, const uint8_t* end) {
  if (p >= end) return {0, 0};
  if (*p < 0x80) return {kAscii[*p], 1};
  return wide_char(p, end);
}

// Where the character before text[at] begins; at > 0.
inline std::size_t character_before(const uint8_t* text, std::size_t at) {
  for (std::size_t back = 2; back <= 4 && back <= at; ++back) {
    if ((text[at - 1] & 0xc0) != 0x80) break;
    if (decode_utf8(text + at - back, text + at).length == back) return at - back;
  }
  return at - 1;
}

inline uint8_t class_before(const uint8_t* text, std::size_t at) {
  return at == 0 ? 0 : char_at(text + character_before(text, at), text + at).kind;
}

// The end of the run of characters of the classes in `set` that begins at p.
template <uint8_t set>
const uint8_t* skip(const uint8_t* p, const uint8_t* end) {
  while (p < end) {
    const Char c = char_at(p, end);
    if (!(c.kind & set)) break;
    p += c.length;
  }
  return p;
}

// The length of 's 't 'd 'm 'll 've 're at the apostrophe p, or 0. Ignoring case, the long s
// (U+017F) is an s.
template <bool ignore_case>
std::ptrdiff_t contraction(const uint8_t* p, const uint8_t* end) {
  const auto letter = [&](int i) -> unsigned {
    return ignore_case && p[i] < 0x80 ? p[i] | 0x20u : p[i];
  };
  if (end - p < 2) return 0;
  const unsigned a = letter(1);
  if (a == 's' || a == 't' || a == 'd' || a == 'm') return 2;
  if (end - p < 3) return 0;
  const unsigned b = letter(2);
  if ((a == 'l' && b == 'l') || (a == 'v' && b == 'e') || (a == 'r' && b == 'e')) return 3;
  if (ignore_case && p[1] == 0xc5 && p[2] == 0xbf) return 3;
  return 0;
}

// [p, q) is the white space at p, which nothing else took. All of it but its last character, which
// may belong to the next piece; all of it at the end of the text. What ends in a line break stays
// together, where asked for.
enum class Breaks { ignored, after_end, before_end };

template <Breaks breaks>
const uint8_t* white_space(const uint8_t* p, const uint8_t* end) {
  const uint8_t *q = p, *last = p, *after_break = p;
  while (q < end) {
    const Char c = char_at(q, end);
    if (!(c.kind & kWhite)) break;
    last = q;
    q += c.length;
    if (c.kind == kNewline) after_break = q;
  }
  if constexpr (breaks == Breaks::after_end) {
    if (q == end) return q;
  }
  if constexpr (breaks != Breaks::ignored) {
    if (after_break > p) return after_break;
  }
  return q == end || last == p ? q : last;
}

// '(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s
inline const uint8_t* gpt2(const uint8_t* p, const uint8_t* end) {
  if (*p == '\'') {
    if (const auto n = contraction<false>(p, end)) return p + n;
  }
  const uint8_t* q = p + (*p == ' ');
  const Char c = char_at(q, end);
  if (c.kind & kLetter) return skip<kLetter>(q + c.length, end);
  if (c.kind & kSymbol) return skip<kSymbol>(q + c.length, end);
  if (c.kind & kNumber) return skip<kNumber>(q + c.length, end);
  return white_space<Breaks::ignored>(p, end);
}

inline const uint8_t* number(const uint8_t* p, const uint8_t* end, int most) {
  for (int i = 0; i < most; ++i) {
    const Char c = char_at(p, end);
    if (c.kind != kNumber) break;
    p += c.length;
  }
  return p;
}

// '(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,digits}|
// ?[^\s\p{L}\p{N}]+[\r\n]*|\s+$|\s*[\r\n]|\s+(?!\S)|\s with \s+$ before or after \s*[\r\n].
template <int digits, Breaks breaks>
const uint8_t* cl100k(const uint8_t* p, const uint8_t* end) {
  const Char c = char_at(p, end);
  if (c.kind & kLetter) return skip<kLetter>(p + c.length, end);
  if (c.kind == kNumber) return number(p, end, digits);
  if (*p == '\'') {
    if (const auto n = contraction<true>(p, end)) return p + n;
  }
  const uint8_t* q = p + c.length;
  const Char d = char_at(q, end);
  if (c.kind != kNewline && d.kind & kLetter) return skip<kLetter>(q + d.length, end);
  if (c.kind & kSymbol || (*p == ' ' && d.kind & kSymbol)) {
    return skip<kNewline>(skip<kSymbol>(q, end), end);
  }
  return white_space<breaks>(p, end);
}

// The word of o200k that begins at p, after what may stand before it, or nullptr. Upper case, then
// lower case:
//   [\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+  or, for `upper_only`,  the first
//   half alone.
inline const uint8_t* word_ending_lower(const uint8_t* p, const uint8_t* end) {
  const uint8_t *q = p, *after_both = nullptr;  // the last character that either half could take
  while (q < end) {
    const Char c = char_at(q, end);
    if (!(c.kind & kHead)) break;
    q += c.length;
    if (c.kind & kTail) after_both = q;
  }
  const uint8_t* r = skip<kTail>(q, end);
  return r > q ? r : after_both;
}

// [^\r\n\p{L}\p{N}]?{word}(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}|
// ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+
inline const uint8_t* o200k(const uint8_t* p, const uint8_t* end) {
  const Char c = char_at(p, end);
  if (c.kind == kNumber) return number(p, end, 3);
  const uint8_t* q = p + c.length;
  const uint8_t* word = nullptr;
  if (c.kind & kLetter) {
    word = word_ending_lower(p, end);
    if (!word) word = skip<kHead>(p, end);
  } else if (c.kind != kNewline) {
    word = word_ending_lower(q, end);
    if (!word && c.kind == kMark) word = word_ending_lower(p, end);
    if (!word) {
      const uint8_t* r = skip<kHead>(q, end);
      if (r > q) word = r;
    }
  }
  if (word) return word < end && *word == '\'' ? word + contraction<true>(word, end) : word;
  const Char d = char_at(q, end);
  if (c.kind & kSymbol || (*p == ' ' && d.kind & kSymbol)) {
    const uint8_t* r = skip<kSymbol>(q, end);
    while (r < end && (*r == '\r' || *r == '\n' || *r == '/')) ++r;
    return r;
  }
  return white_space<Breaks::before_end>(p, end);
}

//  ?\S+|\s+(?!\S)|\s
inline const uint8_t* whitespace(const uint8_t* p, const uint8_t* end) {
  constexpr uint8_t black = kLetter | kSymbol | kNumber;
  const uint8_t* q = p + (*p == ' ');
  const Char c = char_at(q, end);
  if (c.kind & black) return skip<black>(q + c.length, end);
  return white_space<Breaks::ignored>(p, end);
}

}  // namespace split_detail

// The end of the piece that begins at p < end.
template <Pattern pattern>
const uint8_t* piece_end(const uint8_t* p, const uint8_t* end) {
  using namespace split_detail;
  if constexpr (pattern == Pattern::gpt2) return gpt2(p, end);
  if constexpr (pattern == Pattern::cl100k) return cl100k<3, Breaks::after_end>(p, end);
  if constexpr (pattern == Pattern::cl100k_old) return cl100k<3, Breaks::before_end>(p, end);
  if constexpr (pattern == Pattern::qwen2) return cl100k<1, Breaks::before_end>(p, end);
  if constexpr (pattern == Pattern::o200k) return o200k(p, end);
  if constexpr (pattern == Pattern::whitespace) return whitespace(p, end);
  return end;
}

template <Pattern pattern, class F>
void split(const uint8_t* text, std::size_t size, F&& piece) {
  const uint8_t* const end = text + size;
  for (const uint8_t* p = text; p < end;) {
    const uint8_t* const q = piece_end<pattern>(p, end);
    piece(p, q);
    p = q;
  }
}

// Calls f with the pattern as a constant: f.template operator()<Pattern::gpt2>() and so on.
template <class F>
decltype(auto) with_pattern(Pattern pattern, F&& f) {
  switch (pattern) {
    case Pattern::gpt2:
      return f.template operator()<Pattern::gpt2>();
    case Pattern::cl100k:
      return f.template operator()<Pattern::cl100k>();
    case Pattern::cl100k_old:
      return f.template operator()<Pattern::cl100k_old>();
    case Pattern::qwen2:
      return f.template operator()<Pattern::qwen2>();
    case Pattern::o200k:
      return f.template operator()<Pattern::o200k>();
    case Pattern::whitespace:
      return f.template operator()<Pattern::whitespace>();
    case Pattern::none:
      break;
  }
  return f.template operator()<Pattern::none>();
}

// Calls piece(begin, end) for each piece of text[0, size) in order; the pieces tile the text.
template <class F>
void split(Pattern pattern, const uint8_t* text, std::size_t size, F&& piece) {
  with_pattern(pattern, [&]<Pattern p>() { split<p>(text, size, piece); });
}

}  // namespace gu::text
