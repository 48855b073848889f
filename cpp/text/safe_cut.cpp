#include "text/safe_cut.hpp"

namespace gu::text {

bool is_safe_cut(Pattern pattern, const uint8_t* text, size_t size, size_t at) {
  using namespace split_detail;
  if (pattern == Pattern::none || at == 0 || at >= size) return false;
  if (text[at] == ' ') return !(class_before(text, at) & kWhite);
  if (text[at - 1] != '\n' || text[at] == '/' || at < 2) return false;
  // Longer runs of white space are split by what follows them, which the left side would not see.
  return !(class_before(text, at - 1) & kWhite) && !(char_at(text + at, text + size).kind & kWhite);
}

size_t next_safe_cut(Pattern pattern, const uint8_t* text, size_t size, size_t from) {
  if (pattern == Pattern::none) return size;
  while (from < size && !is_safe_cut(pattern, text, size, from)) ++from;
  return from;
}

size_t last_safe_cut(Pattern pattern, const uint8_t* text, size_t size, size_t from, size_t to) {
  if (pattern == Pattern::none) return from;
  for (size_t at = to; at > from; --at) {
    if (is_safe_cut(pattern, text, size, at)) return at;
  }
  return from;
}

}  // namespace gu::text
