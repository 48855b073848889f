#pragma once
// Typed errors. They are thrown where the fact is known and say op, argument, what holds and what
// came:
//   [matmul] inner sizes must agree, but got (3, 4) @ (5, 6)

#include <cstdint>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace gu {

struct Error : std::runtime_error {
  using std::runtime_error::runtime_error;
};
struct ShapeError : Error {  // a ValueError in Python
  using Error::Error;
};
struct DTypeError : Error {  // a TypeError in Python
  using Error::Error;
};
struct ValueError : Error {  // a ValueError in Python
  using Error::Error;
};
struct IndexError : Error {  // an IndexError in Python
  using Error::Error;
};
struct TypeError : Error {  // a TypeError in Python
  using Error::Error;
};

// "(3, 4)", "(3,)", "()": as Python writes a tuple.
inline std::string str(const std::vector<int64_t>& shape) {
  std::ostringstream out;
  out << '(';
  for (size_t i = 0; i < shape.size(); ++i) out << (i ? ", " : "") << shape[i];
  out << (shape.size() == 1 ? ",)" : ")");
  return out.str();
}

namespace detail {
inline void put(std::ostringstream& out, const std::vector<int64_t>& shape) { out << str(shape); }
template <class T>
void put(std::ostringstream& out, const T& part) {
  out << part;
}
}  // namespace detail

// fail<ShapeError>("[matmul] inner sizes must agree, but got ", a.shape(), " @ ", b.shape());
template <class E, class... Parts>
[[noreturn]] void fail(const Parts&... parts) {
  std::ostringstream out;
  (detail::put(out, parts), ...);
  throw E(out.str());
}

}  // namespace gu
