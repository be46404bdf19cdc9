#include "tests/compiler_plugin/cpp_members.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"

namespace spoolrpc::testing {
namespace {

using Tokens = std::vector<std::string>;

bool IsIdentifierChar(char c) { return absl::ascii_isalnum(c) || c == '_'; }

// Identifiers, numbers, string literals, "::" and single characters; no comments or directives.
Tokens Tokenize(absl::string_view text) {
  Tokens tokens;
  size_t i = 0;
  const auto skip_to = [&](absl::string_view end) {
    const size_t found = text.find(end, i);
    i = found == absl::string_view::npos ? text.size() : found + end.size();
  };
  while (i < text.size()) {
    const char c = text[i];
    if (absl::ascii_isspace(c)) {
      ++i;
    } else if (c == '#' || text.substr(i, 2) == "//") {
      skip_to("\n");
    } else if (text.substr(i, 2) == "/*") {
      skip_to("*/");
    } else if (c == '"') {
      const size_t start = i++;
      skip_to("\"");
      tokens.emplace_back(text.substr(start, i - start));
    } else if (IsIdentifierChar(c)) {
      const size_t start = i;
      while (i < text.size() && IsIdentifierChar(text[i])) ++i;
      tokens.emplace_back(text.substr(start, i - start));
    } else if (text.substr(i, 2) == "::") {
      tokens.emplace_back("::");
      i += 2;
    } else {
      tokens.emplace_back(1, c);
      ++i;
    }
  }
  return tokens;
}

class Parser {
 public:
  explicit Parser(Tokens tokens) : tokens_(std::move(tokens)) {}

  std::vector<CppMember> Parse() {
    ParseScope("", Kind::kNamespace);
    return std::move(members_);
  }

 private:
  enum class Kind { kNamespace, kPublicClass, kHiddenClass };

  bool AtEnd() const { return position_ >= tokens_.size(); }
  const std::string& Peek(size_t ahead = 0) const {
    static const std::string* const kNothing = new std::string;
    return position_ + ahead < tokens_.size() ? tokens_[position_ + ahead] : *kNothing;
  }
  std::string Take() {
    if (AtEnd()) Fail("the header ends too early");
    return tokens_[position_++];
  }
  void Expect(absl::string_view token) {
    if (Take() != token) Fail(absl::StrCat("expected ", token));
  }
  [[noreturn]] void Fail(absl::string_view problem) const {
    const size_t from = position_ < 20 ? 0 : position_ - 20;
    fprintf(stderr, "PublicMembers: %s near: %s\n", std::string(problem).c_str(),
            absl::StrJoin(tokens_.begin() + from, tokens_.begin() + position_, " ").c_str());
    abort();
  }

  // Takes tokens up to the one that closes `open`, which has been taken.
  void SkipBalanced(absl::string_view open, absl::string_view close) {
    for (int depth = 1; depth > 0;) {
      const std::string token = Take();
      depth += token == open ? 1 : token == close ? -1 : 0;
    }
  }

  void ParseScope(const std::string& scope, Kind kind) {
    bool is_public = kind == Kind::kNamespace;
    while (!AtEnd() && Peek() != "}") {
      if ((Peek() == "public" || Peek() == "private" || Peek() == "protected") && Peek(1) == ":") {
        is_public = kind == Kind::kPublicClass && Peek() == "public";
        position_ += 2;
      } else if (Peek() == "namespace") {
        ParseNamespace(scope);
      } else if (Peek() == "template") {
        Take();
        Expect("<");
        SkipBalanced("<", ">");
      } else if (IsClassDefinition()) {
        ParseClass(scope, is_public, kind != Kind::kNamespace);
      } else {
        ParseDeclaration(scope, is_public && kind != Kind::kNamespace);
      }
    }
  }

  void ParseNamespace(std::string scope) {
    Take();
    while (Peek() != "{") {
      const std::string name = Take();
      if (name != "::") absl::StrAppend(&scope, scope.empty() ? "" : "::", name);
    }
    Expect("{");
    ParseScope(scope, Kind::kNamespace);
    Expect("}");
  }

  // Not of `class X* f();` or `class X x{};`.
  bool IsClassDefinition() const {
    if (Peek() != "class" && Peek() != "struct") return false;
    const size_t after = Peek(2) == "final" ? 3 : 2;
    return Peek(after) == "{" || Peek(after) == ":";
  }

  void ParseClass(const std::string& scope, bool is_public, bool is_member) {
    Take();
    const std::string name = Take();
    const std::string path = absl::StrCat(scope, scope.empty() ? "" : "::", name);
    if (is_public && is_member) members_.push_back({path, absl::StrCat("class ", name)});
    while (Take() != "{") {
    }
    ParseScope(path, is_public ? Kind::kPublicClass : Kind::kHiddenClass);
    Expect("}");
    Expect(";");
  }

  void ParseDeclaration(const std::string& scope, bool is_public) {
    Tokens tokens;
    int depth = 0;
    while (true) {
      const std::string token = Take();
      if (token == ";") break;
      if (token == "{" && depth == 0) {
        SkipBalanced("{", "}");
        if (Peek() == ";") Take();
        break;
      }
      depth += token == "(" ? 1 : token == ")" ? -1 : 0;
      tokens.push_back(token);
    }
    if (!is_public || tokens.empty() || tokens[0] == "friend") return;
    members_.push_back({absl::StrCat(scope, "::", NameOf(tokens)), Normalize(tokens)});
  }

  // What stands before the parameters; without parameters the last identifier.
  std::string NameOf(const Tokens& tokens) const {
    const auto parenthesis = std::find(tokens.begin(), tokens.end(), "(");
    if (parenthesis == tokens.begin()) Fail("a declaration without a name");
    const size_t last = parenthesis - tokens.begin() - 1;
    const bool is_destructor = last > 0 && tokens[last - 1] == "~";
    return absl::StrCat(is_destructor ? "~" : "", tokens[last]);
  }

  static std::string Normalize(Tokens tokens) {
    const size_t size = tokens.size();
    tokens.erase(std::find(tokens.begin(), tokens.end(), ":"), tokens.end());
    if (size >= 2 && tokens.back() == "default") tokens.resize(tokens.size() - 2);
    const size_t before = tokens.size();
    tokens.erase(std::remove(tokens.begin(), tokens.end(), "override"), tokens.end());
    tokens.erase(std::remove(tokens.begin(), tokens.end(), "virtual"), tokens.end());
    if (tokens.size() != before) tokens.insert(tokens.begin(), "virtual");
    return absl::StrJoin(tokens, " ");
  }

  const Tokens tokens_;
  size_t position_ = 0;
  std::vector<CppMember> members_;
};

}  // namespace

std::vector<CppMember> PublicMembers(const std::string& header) {
  return Parser(Tokenize(header)).Parse();
}

}  // namespace spoolrpc::testing
