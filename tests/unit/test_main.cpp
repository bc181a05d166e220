// The main() of every doctest program. Nothing else: it is compiled once, because the framework's
// implementation takes longer to compile than the tests do.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest.h>
