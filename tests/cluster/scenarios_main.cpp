// The main() of the tests with real processes: `--kvd=PATH` names the program, everything else is doctest's.
// Exits with 77, which Meson shows as skipped, where something is missing, and with 1 when the filters select
// no test.
#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest.h>
#include <fmt/format.h>

#include <string_view>

#include "cluster/cluster.hpp"
#include "cluster/requirements.hpp"

namespace {

constexpr int kSkipped = 77;

// Counts the tests that ran, since doctest is content with none.
struct RunCounter : doctest::IReporter {
  explicit RunCounter(const doctest::ContextOptions&) {}
  void report_query(const doctest::QueryData&) override {}
  void test_run_start() override {}
  void test_run_end(const doctest::TestRunStats& stats) override { ran = stats.numTestCasesPassingFilters; }
  void test_case_start(const doctest::TestCaseData&) override {}
  void test_case_reenter(const doctest::TestCaseData&) override {}
  void test_case_end(const doctest::CurrentTestCaseStats&) override {}
  void test_case_exception(const doctest::TestCaseException&) override {}
  void subcase_start(const doctest::SubcaseSignature&) override {}
  void subcase_end() override {}
  void log_assert(const doctest::AssertData&) override {}
  void log_message(const doctest::MessageData&) override {}
  void test_case_skipped(const doctest::TestCaseData&) override {}
  static inline unsigned ran = 0;
};
REGISTER_LISTENER("counter", 1, RunCounter);

}  // namespace

int main(int argc, char** argv) {
  constexpr std::string_view kProgram = "--kvd=";
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument.starts_with(kProgram))
      kvd::testing::set_kvd_program(std::string(argument.substr(kProgram.size())));
  }
  doctest::Context context(argc, argv);
  if (context.shouldExit()) return context.run();
  if (!kvd::testing::ZookeeperEnsemble::installed()) {
    fmt::print("skipped: needs the packages zookeeper and libslf4j-java, and java in PATH\n");
    return kSkipped;
  }
  if (const std::string missing = kvd::testing::further_requirement(); !missing.empty()) {
    fmt::print("skipped: needs {}\n", missing);
    return kSkipped;
  }
  const int failed = context.run();
  if (context.shouldExit()) return failed;
  if (RunCounter::ran == 0) fmt::print("no such test\n");
  return failed != 0 || RunCounter::ran == 0 ? 1 : 0;
}
