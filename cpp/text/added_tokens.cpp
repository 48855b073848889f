#include "text/added_tokens.hpp"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <utility>

#include "core/errors.hpp"
#include "text/split.hpp"

namespace gu::text {

AddedTokens::AddedTokens(std::vector<AddedToken> tokens) : tokens_(std::move(tokens)) {
  const auto first = [](const AddedToken& t) { return static_cast<uint8_t>(t.text[0]); };
  for (const AddedToken& t : tokens_) {
    if (t.text.empty()) fail<ValueError>("[AddedTokens] texts must not be empty, but id ", t.id);
    longest_ = std::max(longest_, t.text.size());
  }
  std::stable_sort(tokens_.begin(), tokens_.end(), [&](const auto& a, const auto& b) {
    return first(a) != first(b) ? first(a) < first(b) : a.text.size() > b.text.size();
  });
  for (const AddedToken& t : tokens_) ++begin_of_first_[first(t) + 1];
  std::partial_sum(begin_of_first_.begin(), begin_of_first_.end(), begin_of_first_.begin());
  if (!tokens_.empty() && first(tokens_.front()) == first(tokens_.back())) {
    only_first_ = first(tokens_.front());
  }
}

namespace {

using namespace split_detail;

// \w: letters, marks, numbers, the underscore.
bool is_word(const uint8_t* text, std::size_t at, uint8_t kind) {
  return (kind & (kLetter | kMark | kNumber)) != 0 || (kind != 0 && text[at] == '_');
}

}  // namespace

AddedTokens::Match AddedTokens::find(const uint8_t* text, std::size_t size,
                                     std::size_t from) const {
  for (std::size_t at = from; at < size; ++at) {
    if (only_first_ >= 0) {
      const void* const hit = std::memchr(text + at, only_first_, size - at);
      if (!hit) break;
      at = static_cast<std::size_t>(static_cast<const uint8_t*>(hit) - text);
    }
    for (uint32_t i = begin_of_first_[text[at]]; i < begin_of_first_[text[at] + 1]; ++i) {
      const AddedToken& t = tokens_[i];
      const std::size_t length = t.text.size();
      if (length > size - at || std::memcmp(text + at, t.text.data(), length) != 0) continue;
      Match m{at, at + length, &t, at};
      if (t.single_word) {
        const uint8_t before = at > 0 ? class_before(text, at) : 0;
        const uint8_t after = char_at(text + m.end, text + size).kind;
        if ((at > 0 && is_word(text, character_before(text, at), before)) ||
            (m.end < size && is_word(text, m.end, after))) {
          continue;
        }
      }
      if (t.lstrip) {
        while (m.begin > from && class_before(text, m.begin) & kWhite) {
          m.begin = character_before(text, m.begin);
        }
      }
      if (t.rstrip) {
        m.end = static_cast<std::size_t>(skip<kWhite>(text + m.end, text + size) - text);
      }
      return m;
    }
  }
  return {size, size, nullptr, size};
}

}  // namespace gu::text
