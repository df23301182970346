//! Lines over time as SVG.

use std::fmt::Write;

use crate::report::html::escaped;
use crate::report::html::scale::{Scale, short};

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 240.0;
/// Room for the figures of the axes.
const LEFT: f64 = 56.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 30.0;

/// A plot.
#[derive(Debug)]
pub(super) struct Chart {
    pub(super) title: &'static str,
    pub(super) unit: &'static str,
    pub(super) lines: Vec<Line>,
    /// Whether its figures span decades.
    pub(super) decades: bool,
    /// Where what counts begins and ends, in seconds.
    pub(super) seconds: f64,
}

/// One line: seconds and figures, a hole where there is none.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) name: &'static str,
    pub(super) points: Vec<(f64, Option<f64>)>,
}

impl Line {
    fn figures(&self) -> impl Iterator<Item = f64> + Clone {
        self.points.iter().filter_map(|(_, figure)| *figure)
    }
}

impl Chart {
    /// Whether there is anything to see.
    pub(super) fn is_empty(&self) -> bool {
        self.lines.iter().all(|line| line.figures().next().is_none())
    }

    /// As a figure with its legend.
    pub(super) fn html(&self) -> String {
        let mut out = String::new();
        // Writing to text meets no error.
        let _ = write!(
            out,
            "<figure><figcaption><h2>{}</h2><span class=\"unit\">{}</span><span class=\"legend\">",
            escaped(self.title),
            escaped(self.unit)
        );
        for (line, number) in self.lines.iter().zip(1..) {
            let _ = write!(out, "<span class=\"key c{number}\">{}</span>", escaped(line.name));
        }
        out.push_str("</span></figcaption>");
        self.svg(&mut out);
        out.push_str("</figure>\n");
        out
    }

    fn svg(&self, out: &mut String) {
        let figures = self.lines.iter().flat_map(Line::figures);
        let scale =
            if self.decades { Scale::decades(figures) } else { Scale::linear(figures.fold(0.0, f64::max)) };
        let time = Scale::linear(self.seconds);
        let _ = write!(
            out,
            "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{} over time, {}\">",
            escaped(self.title),
            escaped(self.unit)
        );
        for tick in scale.ticks() {
            let y = y(scale.place(tick));
            let _ = write!(
                out,
                "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
                 <text class=\"tick end\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
                WIDTH - RIGHT,
                LEFT - 8.0,
                y + 4.0,
                short(tick)
            );
        }
        for tick in time.ticks().into_iter().filter(|tick| *tick <= self.seconds) {
            let _ = write!(
                out,
                "<text class=\"tick mid\" x=\"{:.1}\" y=\"{:.1}\">{} s</text>",
                x(tick / self.seconds),
                HEIGHT - 8.0,
                short(tick)
            );
        }
        for (line, number) in self.lines.iter().zip(1..) {
            let _ = write!(out, "<path class=\"line s{number}\" d=\"{}\"/>", self.path(line, scale));
        }
        out.push_str("</svg>");
    }

    fn path(&self, line: &Line, scale: Scale) -> String {
        let mut path = String::new();
        let mut begun = false;
        for (at_s, figure) in &line.points {
            let Some(figure) = figure else {
                begun = false;
                continue;
            };
            let command = if begun { 'L' } else { 'M' };
            let _ = write!(path, "{command}{:.1} {:.1}", x(at_s / self.seconds), y(scale.place(*figure)));
            begun = true;
        }
        path
    }
}

fn x(place: f64) -> f64 {
    LEFT + place.clamp(0.0, 1.0) * (WIDTH - LEFT - RIGHT)
}

fn y(place: f64) -> f64 {
    TOP + (1.0 - place) * (HEIGHT - TOP - BOTTOM)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_drawn_within_its_frame_and_broken_where_there_is_nothing() {
        let points = vec![(0.0, Some(0.0)), (1.0, Some(10.0)), (2.0, None), (4.0, Some(5.0))];
        let line = Line { name: "p<99", points };
        let chart = Chart { title: "T", unit: "ms", lines: vec![line], decades: false, seconds: 4.0 };
        let html = chart.html();
        assert!(html.contains("d=\"M56.0 210.0L198.0 12.0M624.0 111.0\""), "{html}");
        assert!(html.contains("p&lt;99") && !chart.is_empty());
    }
}
