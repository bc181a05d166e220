// A file that is there whole or not at all: it is written under another name beside its own, synced, and renamed once
// all of it is there. Or the standard output, in its place. Blocking.
#pragma once
#include <optional>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace kvd {

class NewFile {
 public:
  // Readable by its owner alone. Refuses a path where there is something; the error is one line that begins with it.
  static Result<NewFile> create(const std::string& path);
  static NewFile standard_output();
  ~NewFile();  // without finish(): nothing is left of it
  NewFile(NewFile&& other) noexcept;
  NewFile& operator=(NewFile&&) = delete;

  // What went wrong, as one line that begins with the path; then there is nothing to do but to end it. A signal that
  // is handled ends it, too: nobody may ever read a pipe.
  std::optional<Error> write(std::string_view bytes);
  // Now it is there, and safe. Still refused where something has come into being at the path meanwhile.
  std::optional<Error> finish();

  const std::string& name() const { return path_; }  // as a person calls it

 private:
  NewFile(std::string path, std::string temporary, int descriptor)
      : path_(std::move(path)), temporary_(std::move(temporary)), descriptor_(descriptor) {}
  std::optional<Error> error_of(const char* call) const;

  std::string path_;
  std::string temporary_;  // empty: the standard output, or nothing to be removed
  int descriptor_;
};

}  // namespace kvd
