//! What a person sees: one self-contained page for a run, one for a comparison, JUnit for CI.
//!
//! ```text
//! RunPage (verdict, history, samples, facts) ──▶ PANELS ──▶ one HTML file
//! ```
//!
//! A page has style, script and pictures inline, opens from `file://`, prints, and shows everything that matters without script.
//! A panel with nothing to say is left out. Every text that comes from a run passes through maud's escaping; charts are drawn
//! by plotters and recoloured to the page's own colours, so that they follow light and dark.

pub mod advice;
pub mod chart;
pub mod compare;
mod cost;
pub mod junit;
mod layout;
pub mod page;
mod panels;
mod proof;
mod strip;
pub mod words;

pub use compare::compare_page;
pub use page::{RunPage, Sample};

/// The page of one run, as HTML.
pub fn run_page(page: &RunPage) -> String {
    panels::render(page).into_string()
}
