#include "text/bert.hpp"

#include <algorithm>
#include <array>
#include <memory>

#include "text/unicode.hpp"

namespace gu::text {

namespace {

struct PointRange {
  uint32_t first, last;
};
struct ClassRange {
  uint32_t first, last;
  uint8_t combining_class;
};
struct Mapping {
  uint32_t from;
  uint32_t to[4];  // up to the first 0
};

#include "text/bert_tables.inc"

// Hangul: syllable = (lead * 21 + vowel) * 28 + tail.
constexpr uint32_t kHangul = 0xAC00, kSyllables = 11172, kVowels = 21, kTails = 28;

// A value for each code point, in pages of 256; pages where all is 0 are one.
class PointTable {
 public:
  uint8_t operator[](uint32_t point) const {
    return point < 0x110000 ? pages_[page_of_[point >> 8]][point & 0xFF] : 0;
  }
  void add(uint32_t first, uint32_t last, uint8_t bits) {
    for (uint32_t point = first; point <= last; ++point) {
      uint16_t& page = page_of_[point >> 8];
      if (page == 0) {
        page = static_cast<uint16_t>(pages_.size());
        pages_.emplace_back();
      }
      pages_[page][point & 0xFF] |= bits;
    }
  }

 private:
  std::array<uint16_t, 0x1100> page_of_{};
  std::vector<std::array<uint8_t, 256>> pages_ = std::vector<std::array<uint8_t, 256>>(1);
};

struct Tables {
  PointTable classes, combining;
  Tables() {
    for (auto [first, last] : kRemoved) classes.add(first, last, kBertRemoved);
    for (auto [first, last] : kMarks) classes.add(first, last, kBertMark);
    for (auto [first, last] : kSpace) classes.add(first, last, kBertSpace);
    for (auto [first, last] : kPunctuation) classes.add(first, last, kBertPunctuation);
    // The blocks of CJK ideographs that the original BERT lists; later extensions are not among
    // them.
    constexpr PointRange chinese[] = {{0x4E00, 0x9FFF},   {0x3400, 0x4DBF},   {0x20000, 0x2A6DF},
                                      {0x2A700, 0x2B81F}, {0x2B920, 0x2CEAF}, {0xF900, 0xFAFF},
                                      {0x2F800, 0x2FA1F}};
    for (auto [first, last] : chinese) classes.add(first, last, kBertChinese);
    for (const Mapping& m : kDecompositions) classes.add(m.from, m.from, kBertDecomposed);
    classes.add(kHangul, kHangul + kSyllables - 1, kBertDecomposed);
    for (const Mapping& m : kLower) classes.add(m.from, m.from, kBertUpper);
    for (auto [first, last, k] : kCombining) combining.add(first, last, k);
  }
};

const Tables& tables() {
  static const Tables t;
  return t;
}

template <std::size_t N>
bool append_mapped(const Mapping (&table)[N], uint32_t point, std::vector<uint32_t>& out) {
  const Mapping* found =
      std::lower_bound(std::begin(table), std::end(table), point,
                       [](const Mapping& m, uint32_t wanted) { return m.from < wanted; });
  if (found == std::end(table) || found->from != point) return false;
  for (uint32_t to : found->to)
    if (to != 0) out.push_back(to);
  return true;
}

}  // namespace

uint8_t bert_class(uint32_t point) { return tables().classes[point]; }

uint8_t bert_combining_class(uint32_t point) { return tables().combining[point]; }

void bert_decompose(uint32_t point, std::vector<uint32_t>& out) {
  if (point - kHangul < kSyllables) {
    const uint32_t s = point - kHangul;
    out.push_back(0x1100 + s / (kVowels * kTails));
    out.push_back(0x1161 + s / kTails % kVowels);
    if (s % kTails != 0) out.push_back(0x11A7 + s % kTails);
  } else if (!append_mapped(kDecompositions, point, out)) {
    out.push_back(point);
  }
}

void bert_lower(uint32_t point, std::vector<uint32_t>& out) {
  if (!append_mapped(kLower, point, out)) out.push_back(point);
}

void bert_normalize(const BertOptions& options, const uint8_t* text, std::size_t size,
                    std::vector<Char>& out) {
  const Tables& t = tables();
  out.clear();
  uint8_t seen = 0;  // which classes the text has; ASCII without capitals is done after this loop
  bool combining = false;
  for (std::size_t at = 0; at < size;) {
    Decoded d = decode_utf8(text + at, text + size);
    if (d.point == kNotUtf8) d.point = 0xFFFD;
    const auto begin = static_cast<uint32_t>(at), end = static_cast<uint32_t>(at + d.length);
    at = end;
    const uint8_t c = t.classes[d.point];
    if (options.clean_text) {
      if (c & kBertRemoved) continue;
      if (c & kBertSpace) d.point = ' ';
    }
    seen |= c;
    combining |= t.combining[d.point] != 0;
    const bool parted = options.handle_chinese_chars && (c & kBertChinese);
    if (parted) out.push_back({' ', begin, begin});
    out.push_back({d.point, begin, end});
    if (parted) out.push_back({' ', end, end});
  }
  std::vector<uint32_t> mapped;
  std::vector<Char> next;
  const auto map = [&](uint8_t which, void (*append)(uint32_t, std::vector<uint32_t>&)) {
    next.clear();
    for (const Char& c : out) {
      if (!(t.classes[c.point] & which)) {
        next.push_back(c);
        continue;
      }
      mapped.clear();
      append(c.point, mapped);
      for (uint32_t point : mapped) next.push_back({point, c.begin, c.end});
    }
    out.swap(next);
  };
  if (options.strip_accents && (combining || (seen & (kBertDecomposed | kBertMark)))) {
    map(kBertDecomposed, &bert_decompose);
    // Canonical order: each run of combining characters sorted by class, equals as they came.
    const auto run_end = [&](auto from) {
      return std::find_if(from, out.end(), [&](const Char& c) { return !t.combining[c.point]; });
    };
    for (auto begin = out.begin(); begin != out.end();) {
      const auto end = run_end(begin);
      std::stable_sort(begin, end, [&](const Char& a, const Char& b) {
        return t.combining[a.point] < t.combining[b.point];
      });
      begin = end == out.end() ? end : end + 1;
    }
    std::erase_if(out, [&](const Char& c) { return t.classes[c.point] & kBertMark; });
    seen |= kBertUpper;  // decompositions may have one
  }
  if (options.lowercase && (seen & kBertUpper)) map(kBertUpper, &bert_lower);
}

}  // namespace gu::text
