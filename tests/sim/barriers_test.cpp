// To be written.
// Plays.
#include <doctest/doctest.h>
