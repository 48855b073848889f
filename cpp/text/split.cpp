#include "text/split.hpp"

#include "core/errors.hpp"

namespace gu::text {

Pattern pattern_from_name(std::string_view name) {
  if (name == "gpt2") return Pattern::gpt2;
  if (name == "cl100k") return Pattern::cl100k;
  if (name == "cl100k_old") return Pattern::cl100k_old;
  if (name == "qwen2") return Pattern::qwen2;
  if (name == "o200k") return Pattern::o200k;
  if (name == "whitespace") return Pattern::whitespace;
  if (name == "none") return Pattern::none;
  fail<ValueError>(
      "[split] pattern must be gpt2, cl100k, cl100k_old, qwen2, o200k, whitespace or none, but got "
      "'",
      name, "'");
}

}  // namespace gu::text
