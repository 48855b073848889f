#include "text/batch.hpp"

#include <algorithm>
#include <cstring>

#include "core/errors.hpp"
#include "core/threads.hpp"

namespace gu::text {

namespace {

constexpr std::size_t kLeast = 32 << 10;  // bytes that are worth a task

// Part of a text: from one safe cut to another.
struct Segment {
  std::size_t text, begin, end, ids;
};

struct Task {
  std::size_t first, last;  // segments
  Ids ids;
};

}  // namespace

Ids encode_batch(const Bpe& bpe, std::span<const TextView> texts, const AddedTokens& added,
                 int threads, std::vector<int64_t>& begins) {
  std::size_t total = 0;
  for (const TextView& t : texts) total += t.size;
  const std::size_t wanted =
      threads == 1 ? total + 1 : std::max(kLeast, total / (8 * static_cast<std::size_t>(threads)));

  std::vector<Segment> segments;
  std::vector<Task> tasks;
  std::size_t first = 0, bytes = 0;
  const auto close_task = [&] {
    if (segments.size() > first) tasks.push_back({first, segments.size(), {}});
    first = segments.size();
    bytes = 0;
  };
  for (std::size_t t = 0; t < texts.size(); ++t) {
    const TextView& text = texts[t];
    for (std::size_t begin = 0;;) {
      std::size_t end = text.size;
      if (end - begin > wanted + wanted / 2) {
        // The last safe cut in the stretch; where there is none, the rest stays whole.
        const std::size_t cut = bpe.safe_cut(text.data + begin, wanted, added);
        if (cut > 0) end = begin + cut;
      }
      segments.push_back({t, begin, end, 0});
      bytes += end - begin;
      if (bytes >= wanted) close_task();
      begin = end;
      if (begin == text.size) break;
    }
  }
  close_task();

  const auto run = [&](Task& task) {
    for (std::size_t s = task.first; s < task.last; ++s) {
      Segment& segment = segments[s];
      const TextView& text = texts[segment.text];
      const std::size_t before = task.ids.size();
      bpe.encode(text.data + segment.begin, segment.end - segment.begin, added,
                 {text.data, text.is_str}, task.ids);
      segment.ids = task.ids.size() - before;
    }
  };
  const int parts = static_cast<int>(std::min<std::size_t>(
      static_cast<std::size_t>(std::max(threads, 1)), std::max<std::size_t>(tasks.size(), 1)));
  parallel_parts(parts, [&](int part) {
    for (std::size_t i = static_cast<std::size_t>(part); i < tasks.size();
         i += static_cast<std::size_t>(parts)) {
      run(tasks[i]);
    }
  });

  begins.assign(texts.size() + 1, 0);
  for (const Segment& s : segments) begins[s.text + 1] += static_cast<int64_t>(s.ids);
  for (std::size_t t = 0; t < texts.size(); ++t) begins[t + 1] += begins[t];
  if (tasks.size() == 1) return std::move(tasks.front().ids);
  Ids all;
  std::vector<std::size_t> at;
  std::size_t count = 0;
  for (const Task& task : tasks) {
    at.push_back(count);
    count += task.ids.size();
  }
  uint32_t* const to = all.need(count);
  all.added(count);
  parallel_for(static_cast<int64_t>(tasks.size()), 2, [&](int64_t begin, int64_t end) {
    for (auto i = static_cast<std::size_t>(begin); i < static_cast<std::size_t>(end); ++i) {
      if (tasks[i].ids.size() == 0) continue;
      std::memcpy(to + at[i], tasks[i].ids.data(), tasks[i].ids.size() * sizeof(uint32_t));
    }
  });
  return all;
}

}  // namespace gu::text
