// The smallest test runner that is enough: TEST(name) { CHECK(...); } and one RUN_TESTS() a
// program. `program word` runs only the tests whose names contain the word.
#pragma once

#include <cstdio>
#include <exception>
#include <string>
#include <string_view>
#include <vector>

namespace check {

struct Test {
  const char* name;
  void (*body)();
};

inline std::vector<Test>& tests() {
  static std::vector<Test> all;
  return all;
}

inline int failures = 0;

inline bool add(const char* name, void (*body)()) {
  tests().push_back({name, body});
  return true;
}

inline void fail(const char* file, int line, const std::string& what) {
  ++failures;
  std::fprintf(stderr, "%s:%d: %s\n", file, line, what.c_str());
}

inline int run(int argc, char** argv) {
  const std::string_view word = argc > 1 ? argv[1] : "";
  int ran = 0;
  for (const Test& test : tests()) {
    if (std::string_view(test.name).find(word) == std::string_view::npos) continue;
    const int before = failures;
    try {
      test.body();
    } catch (const std::exception& error) {
      fail(test.name, 0, std::string("exception: ") + error.what());
    }
    ++ran;
    std::printf("%s %s\n", failures == before ? "ok    " : "FAILED", test.name);
  }
  if (ran == 0) std::fprintf(stderr, "no test's name contains '%s'\n", std::string(word).c_str());
  return failures == 0 && ran > 0 ? 0 : 1;
}

}  // namespace check

#define TEST(name)                                                           \
  static void name();                                                        \
  [[maybe_unused]] static const bool name##_added = check::add(#name, name); \
  static void name()
#define CHECK(condition) \
  ((condition) ? void() : check::fail(__FILE__, __LINE__, "not true: " #condition))
// The exception's text must hold `part`: a message is part of the contract.
#define CHECK_THROWS(expression, Type, part)                                               \
  try {                                                                                    \
    (void)(expression);                                                                    \
    check::fail(__FILE__, __LINE__, "no exception: " #expression);                         \
  } catch (const Type& error) {                                                            \
    if (std::string_view(error.what()).find(part) == std::string_view::npos)               \
      check::fail(__FILE__, __LINE__, std::string("unexpected message: ") + error.what()); \
  }
#define RUN_TESTS() \
  int main(int argc, char** argv) { return check::run(argc, argv); }
