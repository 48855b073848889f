#include "core/registry.hpp"

#include <stdexcept>

namespace gu {

std::map<std::string, Op>& registry() {
  static std::map<std::string, Op> ops;  // made on first use: registrations run before main
  return ops;
}

namespace {

std::string trim(const std::string& text) {
  size_t first = text.find_first_not_of(' ');
  if (first == std::string::npos) return "";
  return text.substr(first, text.find_last_not_of(' ') - first + 1);
}

// Splits "x, dim=(0, 1), mode='a'" at its outer commas.
std::vector<std::string> split_params(const std::string& text) {
  std::vector<std::string> parts;
  std::string part;
  int depth = 0;
  for (char c : text) {
    depth += (c == '(') - (c == ')');
    if (c == ',' && depth == 0) {
      parts.push_back(trim(part));
      part.clear();
    } else {
      part += c;
    }
  }
  if (!trim(part).empty()) parts.push_back(trim(part));
  return parts;
}

}  // namespace

Value parse_default(const std::string& op, Kind kind, const std::string& text) {
  if (text == "None") return {};
  switch (kind) {
    case Kind::boolean:
      if (text == "True" || text == "False") return text == "True";
      break;
    case Kind::integer:
      return static_cast<int64_t>(std::stoll(text));
    case Kind::number:
      return std::stod(text);
    case Kind::scalar:
      if (text.find_first_of(".e") != std::string::npos) return std::stod(text);
      return static_cast<int64_t>(std::stoll(text));
    case Kind::string:
      if (text.size() >= 2 && text.front() == '\'' && text.back() == '\'')
        return text.substr(1, text.size() - 2);
      break;
    case Kind::integers:
      if (text == "()") return std::vector<int64_t>{};
      break;
    case Kind::dtype:
      for (DType d :
           {DType::boolean, DType::int64, DType::bfloat16, DType::float32, DType::float64})
        if (text == "'" + std::string(name(d)) + "'") return d;
      break;
    default:
      break;
  }
  throw std::logic_error(op + ": no such default: " + text);
}

void register_op(Op op, const std::string& signature) {
  std::vector<std::string> parts = split_params(signature);
  if (parts.size() != op.params.size())
    throw std::logic_error(op.name + ": the signature must name every parameter: " + signature);
  for (size_t i = 0; i < parts.size(); ++i) {
    Param& param = op.params[i];
    size_t equals = parts[i].find('=');
    param.name = trim(parts[i].substr(0, equals));
    if (equals == std::string::npos) continue;
    param.has_default = true;
    param.default_text = trim(parts[i].substr(equals + 1));
    param.default_value = parse_default(op.name, param.kind, param.default_text);
  }
  // "…/cpp/ops/softmax.cpp" -> "ops/softmax.cpp": where the sources are shipped.
  size_t at = op.file.rfind("cpp/ops/");
  if (at != std::string::npos) op.file = op.file.substr(at + 4);
  std::string name = op.name;
  if (!registry().emplace(name, std::move(op)).second)
    throw std::logic_error(name + ": registered twice");
}

}  // namespace gu
