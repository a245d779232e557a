// JSON, with keys in the order in which they were written.
#pragma once
#include <nlohmann/json.hpp>

namespace lawa {
using Json = nlohmann::ordered_json;

/// The value of a text from outside. Errors: it isn't JSON, or lists and objects lie in each other more than 100 deep: nobody means that,
/// and whoever copies or writes such a value needs the stack for it. The message begins with `what`: "step_00000020.json: not a commit record".
Json parsed_json(const std::string& text, const std::string& what);
/// The same; null where that would be an error.
Json json_or_null(const std::string& text);
}  // namespace lawa
