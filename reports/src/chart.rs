//! Charts over the time of a run, drawn by plotters and recoloured to the page's colours.
//!
//! plotters draws the axes; it writes fixed colours, and a page that follows light and dark needs CSS variables. So lines and labels
//! have colours of their own that occur nowhere else, and are replaced by variables in the finished SVG. The series are put on
//! top as one path each, which keeps a page with thousands of points small.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use gainsay_checker::FaultWindow;
use maud::{Markup, PreEscaped, html};
use plotters::coord::Shift;
use plotters::coord::ranged1d::{AsRangedCoord, DefaultFormatting, KeyPointHint, ValueFormatter};
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;

use crate::strip::{described, shade};
use crate::words;

/// The width of a chart that takes the whole page, in SVG units; the page scales it.
pub const WIDE: u32 = 1040;
const HEIGHT: u32 = 210;
/// One label under the axis for so many units of width.
const LABEL_EVERY: u32 = 110;
/// Room for the axis on the left.
const LEFT: u32 = 58;
/// Room on the right: half of the last label under the axis.
const RIGHT: u32 = 20;

/// What plotters draws for the lines of the axes and for their labels, and what the page shows instead.
const LINE: (RGBColor, &str) = (RGBColor(1, 0, 4), "var(--line)");
const LABEL: (RGBColor, &str) = (RGBColor(1, 0, 5), "var(--dim)");

/// Several series on one chart: colour, and dashes that tell them apart without colour.
const SERIES: [(&str, &str); 7] = [
    ("var(--s1)", ""),
    ("var(--s2)", "8 4"),
    ("var(--s3)", "2 4"),
    ("var(--s4)", "10 4 2 4"),
    ("var(--s5)", "5 3"),
    ("var(--s6)", "10 4 2 4 2 4"),
    ("var(--s7)", "1 3"),
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
    /// As CSS.
    pub fn css(self) -> &'static str {
        match self {
            Colour::Ok => "var(--ok)",
            Colour::Info => "var(--info)",
            Colour::Fail => "var(--fail)",
            Colour::Series(n) => SERIES[n % SERIES.len()].0,
        }
    }

    fn dashes(self) -> &'static str {
        match self {
            Colour::Series(n) => SERIES[n % SERIES.len()].1,
            _ => "",
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
    /// Linear; once a value is far from zero, linear only around zero and logarithmic beyond this value.
    Bent(f64),
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
    /// Its width in SVG units: [`WIDE`], or less for several beside each other.
    pub width: u32,
    /// A value that the vertical axis must reach at least, so that several charts can be compared.
    pub reach: f64,
}

impl Chart<'_> {
    /// The chart with its legend.
    pub fn render(&self) -> Markup {
        html! {
            div.key {
                @for series in self.series.iter().filter(|series| !series.points.is_empty()) {
                    span { (series.sample()) (series.name) }
                }
                @if self.width == WIDE { (fault_key(self.faults)) }
                @if let Some(knee) = self.knee() { span { "(axis: linear up to " (self.labelled(knee)) ", logarithmic beyond)" } }
            }
            div.scroll { (PreEscaped(self.svg())) }
        }
    }

    fn svg(&self) -> String {
        let mut svg = String::new();
        let clouds = {
            let root = SVGBackend::with_string(&mut svg, (self.width, HEIGHT)).into_drawing_area();
            let drawn = match (self.axis, self.knee()) {
                (Axis::LogMillis, _) => self.logarithmic(&root),
                (_, Some(knee)) => self.bent(&root, knee),
                (_, None) => self.linear(&root),
            };
            // Drawing into memory fails only for want of memory; a chart is not worth a panic.
            match (drawn, root.present()) {
                (Ok(clouds), Ok(())) => clouds,
                _ => return String::new(),
            }
        };
        self.recolour(svg, &clouds)
    }

    /// Where the axis bends, if it does.
    fn knee(&self) -> Option<f64> {
        match self.axis {
            Axis::Bent(knee) => self.values().any(|value| value.abs() > knee * FAR).then_some(knee),
            Axis::Linear | Axis::LogMillis => None,
        }
    }

    fn values(&self) -> impl Iterator<Item = f64> {
        let drawn = self.series.iter().flat_map(|series| series.points.iter().map(|(_, value)| *value));
        drawn.chain(std::iter::once(self.reach))
    }

    fn linear(&self, root: &DrawingArea<SVGBackend<'_>, Shift>) -> Drawn {
        let low = self.values().fold(0.0, f64::min) * 1.05;
        let high = self.values().fold(low + 1e-9, f64::max);
        let high = if high <= low + 1e-6 { low + 1.0 } else { high * 1.05 };
        self.draw(root, low..high, &|value| *value, &|value| self.labelled(*value))
    }

    fn labelled(&self, value: f64) -> String {
        format!("{} {}", short(value), self.unit).trim_end().to_string()
    }

    /// Linear around zero, logarithmic beyond `knee`, for values of either sign.
    fn bent(&self, root: &DrawingArea<SVGBackend<'_>, Shift>, knee: f64) -> Drawn {
        let bend = move |value: &f64| value.signum() * (1.0 + value.abs() / knee).log10();
        let low = self.values().map(|value| bend(&value)).fold(0.0, f64::min) * 1.05;
        let high = self.values().map(|value| bend(&value)).fold(low + 0.1, f64::max) * 1.05;
        let decades = (0..DECADES).map(|decade| knee * 10_f64.powi(decade)).flat_map(|tick| [tick, 3.0 * tick]);
        let ticks: Vec<f64> = std::iter::once(0.0).chain(decades.flat_map(|tick| [tick, -tick])).collect();
        let places = ticks.iter().map(&bend).filter(|place| (low..=high).contains(place)).collect();
        let unbend = |place: &f64| place.signum() * (10_f64.powf(place.abs()) - 1.0) * knee;
        self.draw(root, Ticked { range: (low..high).into(), ticks: places }, &bend, &|place| {
            self.labelled(unbend(place))
        })
    }

    fn logarithmic(&self, root: &DrawingArea<SVGBackend<'_>, Shift>) -> Drawn {
        let low = self.values().filter(|value| *value > 0.0).fold(1.0, f64::min) * 0.8;
        let high = self.values().fold(10.0, f64::max) * 1.3;
        self.draw(root, (low..high).log_scale(), &|value| *value, &|value| round(*value))
    }

    fn draw<Y>(
        &self,
        root: &DrawingArea<SVGBackend<'_>, Shift>,
        y: Y,
        place: &dyn Fn(&f64) -> f64,
        label: &dyn Fn(&f64) -> String,
    ) -> Drawn
    where
        Y: AsRangedCoord<Value = f64>,
        Y::CoordDescType: ValueFormatter<f64>,
    {
        let end = self.end as f64 / 1e9;
        let mut chart = ChartBuilder::on(root)
            .margin_top(18)
            .margin_right(RIGHT)
            .set_label_area_size(LabelAreaPosition::Left, LEFT)
            .set_label_area_size(LabelAreaPosition::Bottom, 20)
            .build_cartesian_2d(0.0..end, y)?;
        let line = LINE.0;
        chart
            .configure_mesh()
            .x_labels((self.width / LABEL_EVERY) as usize)
            .y_labels(5)
            .bold_line_style(line)
            .light_line_style(TRANSPARENT)
            .axis_style(line)
            .label_style(("sans-serif", 11, &LABEL.0))
            .x_label_formatter(&|second| format!("{} s", short(*second)))
            .y_label_formatter(label)
            .draw()?;
        let mut drawn = String::new();
        for series in self.series {
            let pixel = |point: &(f64, f64)| chart.backend_coord(&(point.0, place(&point.1)));
            drawn += &match series.form {
                Form::Line => series.line(pixel),
                Form::Dots | Form::Crosses => series.cloud(pixel),
            };
        }
        Ok(drawn)
    }

    fn recolour(&self, svg: String, clouds: &str) -> String {
        let mut svg = svg;
        for (RGBColor(r, g, b), css) in [LINE, LABEL] {
            svg = svg.replace(&format!("#{r:02X}{g:02X}{b:02X}"), css);
        }
        let Some(begin) = svg.find("<svg").and_then(|at| svg[at..].find('>').map(|length| at + length + 1)) else {
            return svg;
        };
        let title = html! { title { (self.title) } }.into_string();
        let class = if self.width == WIDE { "chart" } else { "chart small" };
        let head =
            format!(r#"<svg class="{class}" viewBox="0 0 {} {HEIGHT}" role="img">{title}{}"#, self.width, self.bands());
        let body = svg[begin..].trim_end().trim_end_matches("</svg>");
        format!("{head}{body}{clouds}</svg>")
    }

    fn bands(&self) -> String {
        let width = f64::from(self.width - LEFT - RIGHT);
        let x = |time: u64| f64::from(LEFT) + time.min(self.end) as f64 / self.end.max(1) as f64 * width;
        let mut free = 0.0;
        let bands = html! {
            @for fault in self.faults {
                @let from = x(fault.start);
                @let to = x(fault.end.unwrap_or(self.end)).max(from + 1.0);
                @let label = format!("{} {}", fault.kind, fault.nodes.join(" "));
                rect x=(format!("{from:.1}")) y="18" width=(format!("{:.1}", to - from)) height=(HEIGHT - 38) fill=(shade(&fault.kind)) {
                    title { (described(fault)) ", " (words::seconds(fault.start)) " to " (fault.end.map_or("the end".to_string(), words::seconds)) }
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

/// So many times its knee makes a value far enough from zero to bend the axis.
const FAR: f64 = 30.0;

/// What a drawing of the axes answers: the series, as SVG, to be put on top.
type Drawn = Result<String, Box<dyn std::error::Error>>;

/// A linear axis with these ticks.
struct Ticked {
    range: RangedCoordf64,
    ticks: Vec<f64>,
}

impl Ranged for Ticked {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        self.range.map(value, limit)
    }

    fn key_points<Hint: KeyPointHint>(&self, _hint: Hint) -> Vec<f64> {
        self.ticks.clone()
    }

    fn range(&self) -> std::ops::Range<f64> {
        self.range.range()
    }
}

/// How many powers of ten a bent axis can label.
const DECADES: i32 = 9;

/// A line is broken where nothing is known for so many times the usual distance of its points.
const GAP: f64 = 4.0;

impl Series {
    /// All points as one path, each pixel once: an element for each point is ten times as long.
    fn cloud(&self, pixel: impl Fn(&(f64, f64)) -> (i32, i32)) -> String {
        let pixels: BTreeSet<(i32, i32)> = self.points.iter().map(pixel).collect();
        let mut path = String::with_capacity(pixels.len() * 12);
        for (x, y) in pixels {
            // Writing into a string cannot fail.
            let _ = match self.form {
                Form::Crosses => write!(path, "M{} {}l4 4m-4 0l4-4", x - 2, y - 2),
                Form::Dots | Form::Line => write!(path, "M{x} {y}h0"),
            };
        }
        self.path(&path)
    }

    fn line(&self, pixel: impl Fn(&(f64, f64)) -> (i32, i32)) -> String {
        let mut steps: Vec<f64> = self.points.windows(2).map(|pair| pair[1].0 - pair[0].0).collect();
        steps.sort_by(f64::total_cmp);
        let usual = steps.get(steps.len() / 2).copied().unwrap_or(0.0);
        let mut path = String::with_capacity(self.points.len() * 9);
        let mut last: Option<f64> = None;
        for point in &self.points {
            let (x, y) = pixel(point);
            let command = if last.is_some_and(|last| point.0 - last <= usual * GAP) { 'L' } else { 'M' };
            let _ = write!(path, "{command}{x} {y}");
            last = Some(point.0);
        }
        self.path(&path)
    }

    fn path(&self, path: &str) -> String {
        let (width, dashes) = match self.form {
            Form::Crosses => ("1.1", ""),
            Form::Dots => ("2.6", ""),
            Form::Line => ("1.8", self.colour.dashes()),
        };
        let path = html! {
            path d=(path) fill="none" stroke=(self.colour.css()) stroke-width=(width) stroke-dasharray=(dashes)
                stroke-linecap="round" stroke-linejoin="round" { title { (self.name) } }
        };
        path.into_string()
    }

    /// What the legend shows: the same form in small.
    fn sample(&self) -> Markup {
        let path = match self.form {
            Form::Dots => "M9 5h0M15 3h0M4 8h0",
            Form::Crosses => "M7 3l4 4m-4 0l4-4M15 3l4 4m-4 0l4-4",
            Form::Line => "M1 5L21 5",
        };
        html! { svg.sample viewBox="0 0 22 10" aria-hidden="true" { (PreEscaped(self.path(path))) } }
    }
}

/// What the shades of these faults mean.
pub fn fault_key<'a>(faults: impl IntoIterator<Item = &'a FaultWindow>) -> Markup {
    html! { @for kind in kinds(faults) { span { i style=(format!("background:{}", shade(kind))) {} (kind) } } }
}

/// The kinds of fault present, each once, in order of appearance.
fn kinds<'a>(faults: impl IntoIterator<Item = &'a FaultWindow>) -> Vec<&'a str> {
    let mut kinds: Vec<&str> = Vec::new();
    for fault in faults {
        if !kinds.contains(&fault.kind.as_str()) {
            kinds.push(&fault.kind);
        }
    }
    kinds
}

/// A power of ten of milliseconds as a label: `10 ms`, `1 s`.
fn round(ms: f64) -> String {
    words::millis(ms).replace(".00", "").replace("0.10", "0.1")
}

fn short(value: f64) -> String {
    let sign = if value < 0.0 { "−" } else { "" };
    let size = value.abs();
    let digits = if size >= 1_000.0 {
        words::count(size.round() as u64)
    } else {
        // Ticks are sums of floating-point steps.
        let digits = format!("{size:.2}");
        digits.trim_end_matches('0').trim_end_matches('.').to_string()
    };
    format!("{sign}{digits}")
}
