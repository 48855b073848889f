#pragma once
// BERT's normalizer: clean, part Chinese characters, strip accents, lower-case; and the classes of
// characters that it and BERT's pre-tokenizer go by. Its Python twin is groundup/text/normalize.py.

#include <cstddef>
#include <cstdint>
#include <vector>

namespace gu::text {

struct BertOptions {
  bool clean_text = true;            // control characters out, white space to spaces
  bool handle_chinese_chars = true;  // a space before and after each
  bool strip_accents = true;         // decompose (NFD), drop nonspacing marks
  bool lowercase = true;
};

// A code point, and the bytes [begin, end) of the original text that it comes from.
struct Char {
  uint32_t point;
  uint32_t begin, end;
};

enum BertClass : uint8_t {
  kBertRemoved = 1,  // control, format, private use, NUL, U+FFFD
  kBertMark = 2,     // nonspacing mark
  kBertSpace = 4,
  kBertPunctuation = 8,
  kBertChinese = 16,
  kBertDecomposed = 32,  // has a decomposition
  kBertUpper = 64,       // has a lower case
};

uint8_t bert_class(uint32_t point);  // BertClass bits
uint8_t bert_combining_class(uint32_t point);

// Append the canonical decomposition, or the lower case, of one code point.
void bert_decompose(uint32_t point, std::vector<uint32_t>& out);
void bert_lower(uint32_t point, std::vector<uint32_t>& out);

// Replaces `out` by the normalized text, of less than 4 GiB. A byte that is not UTF-8 is a U+FFFD.
void bert_normalize(const BertOptions& options, const uint8_t* text, std::size_t size,
                    std::vector<Char>& out);

}  // namespace gu::text
