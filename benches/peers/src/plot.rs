//! The SVG of a comparison: a panel for each measure and question, in it a bar for each peer. Shorter is better everywhere.
//!
//! Costs are in proportion within a panel; times differ too much for that, so theirs is a logarithmic scale from 1 µs. The numbers
//! stand beside them. It is written by hand: rectangles and text need no library.

use crate::outcome::{Answered, Measured, Outcome};
use crate::run::Comparison;
use crate::table::milliseconds;

const COLUMNS: usize = 3;
const PANEL_WIDTH: usize = 380;
const BAR_HEIGHT: usize = 18;
/// Where the bars of a panel begin, and how long the longest is.
const BAR_START: usize = 110;
const BAR_LENGTH: f64 = 180.0;
const MARGIN: usize = 20;
/// Where the scale of times begins, in milliseconds.
const TIME_LEAST: f64 = 0.001;
const COLOURS: [&str; 6] = ["#0b6e4f", "#8d99ae", "#c9a227", "#6d597a", "#b56576", "#355070"];

/// A panel: its title and the values of the peers in order; `None`: not known, or not asked.
struct Panel {
    title: String,
    values: Vec<Option<f64>>,
    scale: Scale,
}

#[derive(Clone, Copy)]
enum Scale {
    Linear,
    Logarithmic,
}

impl Scale {
    /// How long a bar is, as a part of the longest.
    fn part(self, value: f64, most: f64) -> f64 {
        match self {
            Scale::Linear => value / most,
            Scale::Logarithmic => (value / TIME_LEAST).max(1.0).ln() / (most / TIME_LEAST).max(2.0).ln(),
        }
    }
}

/// Draws.
pub(crate) fn svg(comparison: &Comparison) -> String {
    let measured: Vec<&Measured> = comparison.outcomes.iter().filter_map(Outcome::measured).collect();
    let panels = panels(comparison, &measured);
    let height = 34 + measured.len() * BAR_HEIGHT;
    let (width, rows) = (COLUMNS * PANEL_WIDTH + MARGIN, panels.len().div_ceil(COLUMNS));
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n",
        rows * height + 2 * MARGIN
    );
    for (number, panel) in panels.iter().enumerate() {
        let (x, y) = (MARGIN + number % COLUMNS * PANEL_WIDTH, MARGIN + number / COLUMNS * height);
        draw(&mut out, panel, &measured, x, y);
    }
    out.push_str("</svg>\n");
    out
}

fn panels(comparison: &Comparison, measured: &[&Measured]) -> Vec<Panel> {
    let events = comparison.events as f64;
    let panel = |scale, title: &str, value: &dyn Fn(&Measured) -> Option<f64>| Panel {
        title: title.to_owned(),
        values: measured.iter().map(|m| value(m)).collect(),
        scale,
    };
    let mut all = vec![
        panel(Scale::Linear, "ingest and settling, CPU s / M events", &|m| Some((m.store_cpu? + m.settle_cpu?) * 1e6 / events)),
        panel(Scale::Linear, "disk without journals, bytes an event", &|m| Some(m.disk?.at_rest as f64 / events)),
        panel(Scale::Linear, "peak memory, MiB", &|m| Some(m.peak_memory? as f64 / f64::from(1 << 20))),
    ];
    for (number, (name, _)) in comparison.questions.iter().enumerate() {
        let title = format!("{}, ms (log)", name.split(" (").next().unwrap_or_default());
        all.push(panel(Scale::Logarithmic, &title, &|m| match m.answers.get(number)? {
            Answered::Right(times) => Some(times.milliseconds(50)),
            Answered::Not | Answered::Wrong(_) => None,
        }));
    }
    all
}

fn draw(out: &mut String, panel: &Panel, measured: &[&Measured], x: usize, y: usize) {
    out.push_str(&format!("<text x=\"{x}\" y=\"{}\" font-weight=\"bold\">{}</text>\n", y + 12, escaped(&panel.title)));
    let most = panel.values.iter().flatten().fold(f64::MIN_POSITIVE, |most, value| most.max(*value));
    for (number, (value, peer)) in panel.values.iter().zip(measured).enumerate() {
        let top = y + 20 + number * BAR_HEIGHT;
        let colour = COLOURS.get(number % COLOURS.len()).copied().unwrap_or_default();
        let length = value.map_or(0.0, |value| (panel.scale.part(value, most) * BAR_LENGTH).max(1.0));
        let (name, text, start) =
            (escaped(peer.name.split(" (").next().unwrap_or_default()), value.map_or_else(|| "-".into(), milliseconds), x + BAR_START);
        out.push_str(&format!("<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{name}</text>\n", start - 6, top + 11));
        out.push_str(&format!("<rect x=\"{start}\" y=\"{top}\" width=\"{length:.1}\" height=\"{}\" fill=\"{colour}\"/>\n", BAR_HEIGHT - 4));
        out.push_str(&format!("<text x=\"{:.1}\" y=\"{}\">{text}</text>\n", start as f64 + length + 5.0, top + 11));
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
