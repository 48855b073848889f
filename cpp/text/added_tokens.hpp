#pragma once
// Tokens that are found in the text as they stand, before any splitting: special ones, and those
// added later.

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace gu::text {

struct AddedToken {
  std::string text;
  uint32_t id;
  bool forbidden = false;    // found, it is an error
  bool lstrip = false;       // takes the white space before it
  bool rstrip = false;       // and after it
  bool single_word = false;  // is none inside a word
};

class AddedTokens {
 public:
  explicit AddedTokens(std::vector<AddedToken> tokens);

  struct Match {
    std::size_t begin, end;  // with the white space that it takes
    const AddedToken* token;
    std::size_t found;  // where its text begins
  };
  // The first one in text[from, size), the longest where several begin together; token is nullptr
  // if there is none.
  Match find(const uint8_t* text, std::size_t size, std::size_t from) const;
  bool empty() const { return tokens_.empty(); }
  std::size_t longest() const { return longest_; }

 private:
  std::vector<AddedToken> tokens_;              // by first byte, longer ones first
  std::array<uint32_t, 257> begin_of_first_{};  // tokens that begin with a byte
  int only_first_ = -1;                         // the byte that all begin with
  std::size_t longest_ = 0;
};

}  // namespace gu::text
