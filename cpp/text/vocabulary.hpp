#pragma once
// The tokens of a vocabulary: bytes by id, and id by bytes.

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

namespace gu::text {

inline constexpr uint32_t kNoToken = 0xffffffff;

// A hash of n bytes, eight at a time; reads no further.
inline uint64_t hash_bytes(const uint8_t* p, std::size_t n) {
  constexpr uint64_t k = 0x9e3779b97f4a7c15;
  uint64_t h = n * k;
  const auto mix = [&](uint64_t word) {
    h = (h ^ word) * k;
    h ^= h >> 32;
  };
  uint64_t word = 0;
  for (; n >= 8; p += 8, n -= 8) {
    std::memcpy(&word, p, 8);
    mix(word);
  }
  word = 0;
  std::memcpy(&word, p, n);
  mix(word);
  return h * k;
}

class Vocabulary {
 public:
  Vocabulary() = default;
  // Token i is bytes[begins[i], begins[i + 1]); an empty one is an id that has no token. The same
  // bytes twice is a ValueError, unless `repeats` allows it: then the first counts when looked up.
  Vocabulary(std::vector<uint8_t> bytes, std::vector<uint64_t> begins, bool repeats = false);

  std::size_t size() const { return begins_.size() - 1; }
  bool has(uint64_t id) const { return id < size() && begins_[id] < begins_[id + 1]; }
  std::span<const uint8_t> operator[](uint32_t id) const {
    return {bytes_.data() + begins_[id], bytes_.data() + begins_[id + 1]};
  }
  uint32_t find(const uint8_t* p, std::size_t n) const {
    const uint64_t h = hash_bytes(p, n);
    for (std::size_t slot = h >> shift_;; slot = (slot + 1) & mask_) {
      const Slot s = slots_[slot];
      if (s.id == kNoToken) return kNoToken;
      if (s.tag == static_cast<uint32_t>(h)) {
        const auto token = (*this)[s.id];
        if (token.size() == n && std::memcmp(token.data(), p, n) == 0) return s.id;
      }
    }
  }

 private:
  struct Slot {
    uint32_t tag = 0, id = kNoToken;
  };
  std::vector<uint8_t> bytes_;
  std::vector<uint64_t> begins_{0};
  std::vector<Slot> slots_{2};  // open addressing, at most half full
  std::size_t mask_ = 1;
  int shift_ = 63;
};

}  // namespace gu::text
