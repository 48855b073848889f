#include "text/vocabulary.hpp"

#include <bit>

#include "core/errors.hpp"

namespace gu::text {

Vocabulary::Vocabulary(std::vector<uint8_t> bytes, std::vector<uint64_t> begins, bool repeats)
    : bytes_(std::move(bytes)), begins_(std::move(begins)) {
  if (size() >= kNoToken) fail<ValueError>("[Vocabulary] ids must fit 32 bits, but got ", size());
  const int bits = std::max(1, static_cast<int>(std::bit_width(2 * size())));
  slots_.assign(std::size_t{1} << bits, Slot{});
  mask_ = slots_.size() - 1;
  shift_ = 64 - bits;
  for (uint32_t id = 0; id < size(); ++id) {
    const auto token = (*this)[id];
    if (token.empty()) continue;
    const uint32_t other = find(token.data(), token.size());
    if (other != kNoToken) {
      if (repeats) continue;
      fail<ValueError>("[Vocabulary] tokens must differ, but ids ", other, " and ", id,
                       " have the same bytes");
    }
    const uint64_t h = hash_bytes(token.data(), token.size());
    std::size_t slot = h >> shift_;
    while (slots_[slot].id != kNoToken) slot = (slot + 1) & mask_;
    slots_[slot] = {static_cast<uint32_t>(h), id};
  }
}

}  // namespace gu::text
