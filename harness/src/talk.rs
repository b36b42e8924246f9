//! Talk goes to stderr, results to stdout; a closed pipe ends neither the run nor its verdict.
//!
//! `println!` panics when the reader is gone (`gainsay run | head`), so everything is written through here and a write that fails is
//! ignored: the verdict is in the file.

use std::io::{IsTerminal as _, Write as _};
use std::sync::atomic::{AtomicU8, Ordering};

/// 0 quiet, 1 normal, 2 verbose.
static VERBOSITY: AtomicU8 = AtomicU8::new(1);
/// 0 plain, 1 coloured.
static COLOR: AtomicU8 = AtomicU8::new(0);

/// When to colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Color {
    /// When standard output is a terminal and `NO_COLOR` is not set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Sets how much is said and whether in colour; once, at the start.
pub fn configure(quiet: bool, verbose: bool, color: Color) {
    VERBOSITY.store(if quiet { 0 } else { 1 + u8::from(verbose) }, Ordering::Relaxed);
    let wanted = match color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => {
            std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
        }
    };
    COLOR.store(u8::from(wanted), Ordering::Relaxed);
}

/// Whether nothing but results should be said.
pub fn quiet() -> bool {
    VERBOSITY.load(Ordering::Relaxed) == 0
}

/// Whether more was asked for.
pub fn verbose() -> bool {
    VERBOSITY.load(Ordering::Relaxed) > 1
}

/// Says a line on stderr, unless quiet.
pub fn line(text: &str) {
    if !quiet() {
        error(text);
    }
}

/// Says a line on stderr when asked to be verbose.
pub fn detail(text: &str) {
    if verbose() {
        error(text);
    }
}

/// Says a line on stderr whatever was asked.
pub fn error(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// Writes a line of a result to stdout.
pub fn result(text: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

/// `text` in bold or a colour of the terminal (an SGR code such as `1` or `31`), where colours are wanted.
pub fn paint(code: &str, text: &str) -> String {
    if COLOR.load(Ordering::Relaxed) == 1 { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_string() }
}
