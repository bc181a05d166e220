// See svg_plot.hpp.
#include "kvload/svg_plot.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>

namespace kvd::load {
namespace {

constexpr double kWidth = 860;
constexpr double kHead = 64;          // of the whole
constexpr double kPanelHeight = 320;  // with title and labels
constexpr double kLeft = 84;
constexpr double kRight = 36;
constexpr double kTop = 56;     // of a panel: title and legend
constexpr double kBottom = 52;  // of a panel: marks and label
// Okabe and Ito's colours, which those who see few colours can tell apart.
constexpr const char* kColours[] = {"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"};

std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += static_cast<unsigned char>(c) < ' ' ? ' ' : c;
    }
  }
  return out;
}

std::string short_number(double value) {
  const double size = std::fabs(value);
  if (size >= 1e9) return fmt::format("{:.4g}G", value / 1e9);
  if (size >= 1e6) return fmt::format("{:.4g}M", value / 1e6);
  if (size >= 1e4) return fmt::format("{:.4g}k", value / 1e3);
  return fmt::format("{:.4g}", value);
}

// One axis: from values to places between `begin` and `end` of the picture.
class Axis {
 public:
  Axis(std::vector<double> values, bool log, double begin, double end) : log_(log), begin_(begin), end_(end) {
    std::erase_if(values, [log](double value) { return !std::isfinite(value) || (log && value <= 0); });
    if (values.empty()) values = {1};
    low_ = *std::min_element(values.begin(), values.end());
    high_ = *std::max_element(values.begin(), values.end());
    log ? round_to_decades() : round_to_steps();
  }

  bool shows(double value) const { return std::isfinite(value) && (!log_ || value > 0); }
  double place(double value) const {
    const double share = log_
                             ? (std::log10(value) - std::log10(low_)) / (std::log10(high_) - std::log10(low_))
                             : (value - low_) / (high_ - low_);
    return begin_ + share * (end_ - begin_);
  }
  const std::vector<double>& marks() const { return marks_; }
  // For marks that are given: the axis ends where the values end.
  void tighten(double low, double high) {
    low_ = low;
    high_ = high;
  }

 private:
  void round_to_decades() {
    low_ = std::pow(10, std::floor(std::log10(low_)));
    high_ = std::pow(10, std::ceil(std::log10(high_) - 1e-9));
    if (high_ <= low_) high_ = low_ * 10;
    for (double mark = low_; mark <= high_ * 1.001; mark *= 10) marks_.push_back(mark);
  }
  void round_to_steps() {  // from 0 on: a chart that cuts its foot off misleads
    low_ = std::min(low_, 0.0);
    if (high_ <= low_) high_ = low_ + 1;
    const double rough = (high_ - low_) / 5;
    const double power = std::pow(10, std::floor(std::log10(rough)));
    double step = 10 * power;
    for (const double factor : {5.0, 2.5, 2.0, 1.0}) {
      if (factor * power >= rough) step = factor * power;
    }
    high_ = std::ceil(high_ / step - 1e-9) * step;
    for (int i = 0; low_ + i * step <= high_ * 1.0001; ++i) marks_.push_back(low_ + i * step);
  }

  bool log_;
  double begin_, end_;
  double low_ = 0;
  double high_ = 1;
  std::vector<double> marks_;
};

class PanelDrawing {
 public:
  PanelDrawing(const Panel& panel, double top)
      : panel_(panel),
        top_(top + kTop),
        bottom_(top + kPanelHeight - kBottom),
        x_(values(&std::pair<double, double>::first), panel.x_log, kLeft, kWidth - kRight),
        y_(values(&std::pair<double, double>::second), panel.y_log, bottom_, top_) {
    if (!panel.x_marks.empty()) x_.tighten(panel.x_marks.front().first, panel.x_marks.back().first);
  }

  std::string draw(double top) {
    text(kLeft, top + 20, "start", "title", panel_.title);
    for (const double mark : y_.marks()) {
      line(kLeft, y_.place(mark), kWidth - kRight, y_.place(mark), "grid");
      text(kLeft - 8, y_.place(mark) + 4, "end", "mark", short_number(mark));
    }
    if (panel_.x_marks.empty()) {
      for (const double mark : x_.marks()) draw_x_mark(mark, short_number(mark));
    }
    for (const auto& [mark, name] : panel_.x_marks) draw_x_mark(mark, name);
    line(kLeft, bottom_, kWidth - kRight, bottom_, "axis");
    text((kLeft + kWidth - kRight) / 2, bottom_ + 40, "middle", "label", panel_.x_label);
    out_ += fmt::format(
        "<text class=\"label\" text-anchor=\"middle\" transform=\"translate(20 {:.1f}) rotate(-90)\">{}"
        "</text>\n",
        (top_ + bottom_) / 2, escaped(panel_.y_label));
    double legend = kLeft;
    for (size_t i = 0; i < panel_.series.size(); ++i) draw_series(i, top + 40, legend);
    return std::move(out_);
  }

 private:
  std::vector<double> values(double std::pair<double, double>::*half) const {
    std::vector<double> list;
    for (const Series& series : panel_.series) {
      for (const auto& point : series.points) list.push_back(point.*half);
    }
    return list;
  }
  void line(double x1, double y1, double x2, double y2, const char* style) {
    out_ += fmt::format("<line class=\"{}\" x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\"/>\n",
                        style, x1, y1, x2, y2);
  }
  void text(double x, double y, const char* anchor, const char* style, const std::string& content) {
    out_ += fmt::format("<text class=\"{}\" text-anchor=\"{}\" x=\"{:.1f}\" y=\"{:.1f}\">{}</text>\n", style,
                        anchor, x, y, escaped(content));
  }
  void draw_x_mark(double mark, const std::string& name) {
    line(x_.place(mark), top_, x_.place(mark), bottom_, "grid");
    text(x_.place(mark), bottom_ + 18, "middle", "mark", name);
  }
  void draw_series(size_t number, double legend_y, double& legend_x) {
    const Series& series = panel_.series[number];
    const char* colour = kColours[number % std::size(kColours)];
    std::string path;
    double last_y = 0;
    for (const auto& [x, y] : series.points) {
      if (!x_.shows(x) || !y_.shows(y)) continue;
      const double at_x = x_.place(x);
      const double at_y = y_.place(y);
      if (!path.empty() && series.stepped) path += fmt::format("L{:.1f} {:.1f}", at_x, last_y);
      path += fmt::format("{}{:.1f} {:.1f}", path.empty() ? "M" : "L", at_x, at_y);
      last_y = at_y;
    }
    if (!path.empty()) out_ += fmt::format("<path class=\"line\" stroke=\"{}\" d=\"{}\"/>\n", colour, path);
    if (panel_.series.size() < 2) return;
    out_ += fmt::format(
        "<line class=\"line\" stroke=\"{}\" x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\"/>\n",
        colour, legend_x, legend_y - 4, legend_x + 22, legend_y - 4);
    text(legend_x + 28, legend_y, "start", "mark", series.name);
    legend_x += 50 + 6.6 * static_cast<double>(series.name.size());
  }

  const Panel& panel_;
  double top_, bottom_;
  Axis x_, y_;
  std::string out_;
};

}  // namespace

std::string svg_plot(const std::string& title, const std::string& subtitle,
                     const std::vector<Panel>& panels) {
  const double height = kHead + kPanelHeight * static_cast<double>(panels.size()) + 8;
  std::string out = fmt::format(
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0:.0f}\" height=\"{1:.0f}\" viewBox=\"0 0 {0:.0f} "
      "{1:.0f}\" "
      "font-family=\"system-ui, sans-serif\">\n"
      "<style>.head{{font-size:18px;font-weight:600;fill:#1a1a1a}}.sub{{font-size:12px;fill:#666}}"
      ".title{{font-size:14px;font-weight:600;fill:#1a1a1a}}.label{{font-size:12px;fill:#444}}"
      ".mark{{font-size:11px;fill:#555}}.grid{{stroke:#e4e4e4}}.axis{{stroke:#888}}"
      ".line{{fill:none;stroke-width:1.8;stroke-linejoin:round}}</style>\n"
      "<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n"
      "<text class=\"head\" x=\"{2:.0f}\" y=\"30\">{3}</text>\n<text class=\"sub\" x=\"{2:.0f}\" "
      "y=\"50\">{4}</text>\n",
      kWidth, height, kLeft, escaped(title), escaped(subtitle));
  double top = kHead;
  for (const Panel& panel : panels) {
    out += PanelDrawing(panel, top).draw(top);
    top += kPanelHeight;
  }
  return out + "</svg>\n";
}

std::string write_file(const std::string& path, const std::string& text) {
  std::ofstream file(path);
  file << text;
  file.close();
  return file.good() ? "" : fmt::format("cannot write {}: {}", path, std::strerror(errno));
}

}  // namespace kvd::load
