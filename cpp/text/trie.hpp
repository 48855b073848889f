#pragma once
// Tokens as paths of bytes: what tokens begin here is found in one walk. The map (node, byte) ->
// node is one flat hash table.

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace gu::text {

class Trie {
 public:
  static constexpr uint32_t kNone = 0xFFFFFFFF;
  static constexpr uint32_t kRoot = 0;

  Trie() : Trie(0) {}
  // Room for tokens of so many bytes together.
  explicit Trie(std::size_t bytes)
      : edges_(std::bit_ceil(2 * (bytes + 1)), Edge{0, kNone, 0}), value_(1, kNone) {}

  // Returns false, and changes nothing, where the token is there already.
  bool add(std::string_view token, uint32_t value) {
    uint32_t node = kRoot;
    for (char byte : token) node = add_child(node, static_cast<uint8_t>(byte));
    if (value_[node] != kNone) return false;
    value_[node] = value;
    return true;
  }

  uint32_t child(uint32_t node, uint8_t byte) const { return edges_[slot(node, byte)].child; }
  uint32_t value(uint32_t node) const { return value_[node]; }  // kNone: no token ends here

  uint32_t find(std::string_view token) const {
    uint32_t node = kRoot;
    for (char byte : token) {
      node = child(node, static_cast<uint8_t>(byte));
      if (node == kNone) return kNone;
    }
    return node;
  }

 private:
  struct Edge {
    uint32_t node, child;  // child kNone: an empty slot
    uint8_t byte;
  };

  std::size_t slot(uint32_t node, uint8_t byte) const {
    const uint64_t key = (static_cast<uint64_t>(node) << 8 | byte) * 0x9E3779B97F4A7C15;
    const std::size_t mask = edges_.size() - 1;
    std::size_t i = (key >> 32) & mask;
    while (edges_[i].child != kNone && (edges_[i].node != node || edges_[i].byte != byte)) {
      i = (i + 1) & mask;
    }
    return i;
  }

  uint32_t add_child(uint32_t node, uint8_t byte) {
    Edge& edge = edges_[slot(node, byte)];
    if (edge.child == kNone) {
      edge = {node, static_cast<uint32_t>(value_.size()), byte};
      value_.push_back(kNone);
    }
    return edge.child;
  }

  std::vector<Edge> edges_;
  std::vector<uint32_t> value_;
};

}  // namespace gu::text
