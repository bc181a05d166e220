// Line charts as SVG: panels one below the other, each with its axes, grid, lines and a legend. Knows nothing of what
// it draws. Pure; the text is well-formed XML whatever the names hold.
#pragma once
#include <string>
#include <utility>
#include <vector>

namespace kvd::load {

struct Series {
  std::string name;
  std::vector<std::pair<double, double>> points;  // in ascending order of the first
  bool stepped = false;                           // each value holds until the next point
};

struct Panel {
  std::string title;
  std::string x_label;
  std::string y_label;
  std::vector<Series> series;
  bool x_log = false;  // values of 0 and below are left out on a logarithmic axis
  bool y_log = false;
  // Marks of the x axis where plain numbers would mislead, e.g. "99.9 %"; empty: numbers.
  std::vector<std::pair<double, std::string>> x_marks;
};

std::string svg_plot(const std::string& title, const std::string& subtitle, const std::vector<Panel>& panels);

// Writes it; an error message, or nothing.
std::string write_file(const std::string& path, const std::string& text);

}  // namespace kvd::load
