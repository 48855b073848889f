#include "text/short_tokens.hpp"

#include <algorithm>
#include <bit>

namespace gu::text {

ShortTokens::ShortTokens(std::size_t tokens) {
  const int bits = std::max(1, static_cast<int>(std::bit_width(tokens + tokens / 2)));
  slots_.resize(std::size_t{1} << bits);
  mask_ = slots_.size() - 1;
  shift_ = 64 - bits;
}

void ShortTokens::insert(Key key, uint32_t id) {
  std::size_t slot = key.hash() >> shift_;
  while (slots_[slot].id != kNoToken) slot = (slot + 1) & mask_;
  slots_[slot] = {key, id};
}

}  // namespace gu::text
