//! Charts over the time of a run, drawn by plotters and recoloured to the page's colours.
//!
//! plotters writes fixed colours; a page that follows light and dark needs CSS variables. So each meaning has a colour of its own
//! that occurs nowhere else, and is replaced by the variable of that meaning in the finished SVG.

use gainsay_checker::FaultWindow;
use maud::{Markup, PreEscaped, html};
use plotters::coord::Shift;
use plotters::coord::ranged1d::{AsRangedCoord, ValueFormatter};
use plotters::prelude::*;

use crate::strip::shade;
use crate::words;

/// A chart's size in SVG units; the page scales it.
const SIZE: (u32, u32) = (1040, 210);
/// Room for the axis on the left.
const LEFT: u32 = 52;

/// The colours with a meaning: what plotters draws, what the page shows.
const MEANINGS: [(RGBColor, &str); 13] = [
    (RGBColor(1, 0, 1), "var(--ok)"),
    (RGBColor(1, 0, 2), "var(--info)"),
    (RGBColor(1, 0, 3), "var(--fail)"),
    (RGBColor(1, 0, 4), "var(--line)"),
    (RGBColor(1, 0, 5), "var(--dim)"),
    (RGBColor(1, 0, 6), "var(--broken)"),
    (RGBColor(1, 0, 7), "var(--s1)"),
    (RGBColor(1, 0, 8), "var(--s2)"),
    (RGBColor(1, 0, 9), "var(--s3)"),
    (RGBColor(1, 0, 10), "var(--s4)"),
    (RGBColor(1, 0, 11), "var(--s5)"),
    (RGBColor(1, 0, 12), "var(--s6)"),
    (RGBColor(1, 0, 13), "var(--s7)"),
];

/// Colours for what charts draw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    /// Succeeded.
    Ok,
    /// Unknown outcome.
    Info,
    /// Failed.
    Fail,
    /// The n-th of several series, repeating after seven.
    Series(usize),
}

impl Colour {
    fn drawn(self) -> RGBColor {
        match self {
            Colour::Ok => MEANINGS[0].0,
            Colour::Info => MEANINGS[1].0,
            Colour::Fail => MEANINGS[2].0,
            Colour::Series(n) => MEANINGS[6 + n % 7].0,
        }
    }

    /// As CSS.
    pub fn css(self) -> &'static str {
        match self {
            Colour::Ok => MEANINGS[0].1,
            Colour::Info => MEANINGS[1].1,
            Colour::Fail => MEANINGS[2].1,
            Colour::Series(n) => MEANINGS[6 + n % 7].1,
        }
    }
}

/// What a chart draws: a cloud of points, or a line.
#[derive(Clone, Debug)]
pub struct Series {
    /// Its name in the legend.
    pub name: String,
    /// Its colour.
    pub colour: Colour,
    /// Seconds since the start, and the value. Ascending for lines.
    pub points: Vec<(f64, f64)>,
    /// How it is drawn.
    pub form: Form,
}

/// How a series is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A dot for each.
    Dots,
    /// A cross for each, so that it can be told apart without colour.
    Crosses,
    /// A line through all.
    Line,
}

/// The vertical axis.
#[derive(Clone, Copy, Debug)]
pub enum Axis {
    /// From zero, or from below where there are negative values.
    Linear,
    /// Logarithmic; for latencies in milliseconds.
    LogMillis,
}

/// A chart over time.
#[derive(Clone, Debug)]
pub struct Chart<'a> {
    /// What it shows, for those who cannot see it.
    pub title: &'a str,
    /// What is drawn.
    pub series: &'a [Series],
    /// Shaded behind.
    pub faults: &'a [FaultWindow],
    /// How far the time axis goes, nanoseconds.
    pub end: u64,
    /// The vertical axis.
    pub axis: Axis,
    /// Its unit: `ms`, `ops/s`.
    pub unit: &'a str,
}

impl Chart<'_> {
    /// The chart with its legend.
    pub fn render(&self) -> Markup {
        html! {
            div.key {
                @for series in self.series {
                    span { i style=(format!("background:{}", series.colour.css())) {} (series.name) }
                }
                @for kind in kinds(self.faults) {
                    span { i style=(format!("background:{};outline:1px solid var(--line)", shade(kind))) {} (kind) }
                }
            }
            (PreEscaped(self.svg()))
        }
    }

    fn svg(&self) -> String {
        let mut svg = String::new();
        {
            let root = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
            let drawn = match self.axis {
                Axis::Linear => self.linear(&root),
                Axis::LogMillis => self.logarithmic(&root),
            };
            // Drawing into memory fails only for want of memory; a chart is not worth a panic.
            if drawn.is_err() || root.present().is_err() {
                return String::new();
            }
        }
        self.recolour(svg)
    }

    fn values(&self) -> impl Iterator<Item = f64> {
        self.series.iter().flat_map(|series| series.points.iter().map(|(_, value)| *value))
    }

    fn linear(&self, root: &DrawingArea<SVGBackend<'_>, Shift>) -> Result<(), Box<dyn std::error::Error>> {
        let low = self.values().fold(0.0, f64::min) * 1.05;
        let high = self.values().fold(low + 1e-9, f64::max);
        let high = if high <= low + 1e-6 { low + 1.0 } else { high * 1.05 };
        let unit = self.unit.to_string();
        self.draw(root, low..high, &move |value| format!("{} {unit}", short(*value)))
    }

    fn logarithmic(&self, root: &DrawingArea<SVGBackend<'_>, Shift>) -> Result<(), Box<dyn std::error::Error>> {
        let low = self.values().filter(|value| *value > 0.0).fold(1.0, f64::min) * 0.8;
        let high = self.values().fold(10.0, f64::max) * 1.3;
        self.draw(root, (low..high).log_scale(), &|value| words::millis(*value).replace(".00", ""))
    }

    fn draw<Y>(
        &self,
        root: &DrawingArea<SVGBackend<'_>, Shift>,
        y: Y,
        label: &dyn Fn(&f64) -> String,
    ) -> Result<(), Box<dyn std::error::Error>>
    where
        Y: AsRangedCoord<Value = f64>,
        Y::CoordDescType: ValueFormatter<f64>,
    {
        let end = self.end as f64 / 1e9;
        let mut chart = ChartBuilder::on(root)
            .margin_top(18)
            .margin_right(8)
            .set_label_area_size(LabelAreaPosition::Left, LEFT)
            .set_label_area_size(LabelAreaPosition::Bottom, 20)
            .build_cartesian_2d(0.0..end, y)?;
        let line = MEANINGS[3].0;
        chart
            .configure_mesh()
            .x_labels(9)
            .y_labels(5)
            .bold_line_style(line)
            .light_line_style(TRANSPARENT)
            .axis_style(line)
            .label_style(("sans-serif", 11, &MEANINGS[4].0))
            .x_label_formatter(&|second| format!("{} s", short(*second)))
            .y_label_formatter(label)
            .draw()?;
        for series in self.series {
            let colour = series.colour.drawn();
            match series.form {
                Form::Dots => {
                    chart.draw_series(series.points.iter().map(|point| Circle::new(*point, 1, colour.filled())))?;
                }
                Form::Crosses => {
                    chart.draw_series(series.points.iter().map(|point| Cross::new(*point, 3, colour)))?;
                }
                Form::Line => {
                    chart.draw_series(LineSeries::new(series.points.iter().copied(), colour.stroke_width(2)))?;
                }
            }
        }
        Ok(())
    }

    /// Colours by meaning, fault bands behind everything, a title for those who cannot see.
    fn recolour(&self, svg: String) -> String {
        let mut svg = svg;
        for (RGBColor(r, g, b), css) in MEANINGS {
            svg = svg.replace(&format!("#{r:02X}{g:02X}{b:02X}"), css);
        }
        let Some(begin) = svg.find("<svg").and_then(|at| svg[at..].find('>').map(|length| at + length + 1)) else {
            return svg;
        };
        let title = html! { title { (self.title) } }.into_string();
        let head = format!(r#"<svg viewBox="0 0 {} {}" role="img">{title}{}"#, SIZE.0, SIZE.1, self.bands());
        format!("{head}{}", &svg[begin..])
    }

    fn bands(&self) -> String {
        let width = f64::from(SIZE.0 - LEFT - 8);
        let x = |time: u64| f64::from(LEFT) + time.min(self.end) as f64 / self.end.max(1) as f64 * width;
        let mut free = 0.0;
        let bands = html! {
            @for fault in self.faults {
                @let from = x(fault.start);
                @let to = x(fault.end.unwrap_or(self.end)).max(from + 1.0);
                @let label = format!("{} {}", fault.kind, fault.nodes.join(" "));
                rect x=(format!("{from:.1}")) y="18" width=(format!("{:.1}", to - from)) height=(SIZE.1 - 38) fill=(shade(&fault.kind)) {
                    title { (fault.kind) ": " (fault.what) ", " (words::seconds(fault.start)) " to " (fault.end.map_or("the end".to_string(), words::seconds)) }
                }
                @if from >= free {
                    text x=(format!("{:.1}", from + 2.0)) y="13" { (label) }
                    ({ free = from + 6.0 * label.chars().count() as f64 + 8.0; "" })
                }
            }
        };
        bands.into_string()
    }
}

/// The kinds of fault present, each once, in order of appearance.
fn kinds(faults: &[FaultWindow]) -> Vec<&str> {
    let mut kinds: Vec<&str> = Vec::new();
    for fault in faults {
        if !kinds.contains(&fault.kind.as_str()) {
            kinds.push(&fault.kind);
        }
    }
    kinds
}

fn short(value: f64) -> String {
    if value.abs() >= 1_000.0 {
        words::count(value.abs().round() as u64).replacen("", if value < 0.0 { "−" } else { "" }, 1)
    } else if (value - value.round()).abs() < 1e-6 {
        format!("{value:.0}")
    } else {
        format!("{value:.2}")
    }
}
