//! What a person sees while a run goes on: a bar on a terminal, plain lines elsewhere.

use std::io::IsTerminal as _;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::recorder::Recorder;
use crate::signals::Interrupt;
use crate::talk;

/// How often the bar moves.
const TICK: Duration = Duration::from_millis(100);
/// How often a line is written where there is no terminal.
const PLAIN: Duration = Duration::from_secs(10);

/// Shows phases and the load's course on stderr.
pub struct Progress {
    bar: Option<ProgressBar>,
    title: Mutex<String>,
}

impl Progress {
    /// A display for a run called `title`.
    pub fn new(title: &str) -> Progress {
        let terminal = std::io::stderr().is_terminal() && !talk::quiet();
        let bar = terminal.then(|| {
            let bar = ProgressBar::with_draw_target(Some(1), ProgressDrawTarget::stderr());
            if let Ok(style) = ProgressStyle::with_template("{prefix:.bold} {bar:30.cyan/dim} {msg}") {
                bar.set_style(style.progress_chars("━━─"));
            }
            bar.set_prefix(title.to_string());
            bar
        });
        Progress { bar, title: Mutex::new(title.to_string()) }
    }

    /// A new phase has begun.
    pub fn phase(&self, name: &str) {
        match &self.bar {
            Some(bar) => bar.set_message(name.to_string()),
            None => self.say(name),
        }
    }

    fn say(&self, text: &str) {
        let title = self.title.lock().map(|title| title.clone()).unwrap_or_default();
        talk::line(&format!("{title}: {text}"));
    }

    /// Follows the load until it is over or interrupted.
    pub async fn load(&self, recorder: &Recorder, limit: Duration, interrupt: &Interrupt) {
        let mut said = Instant::now();
        if let Some(bar) = &self.bar {
            bar.set_length(limit.as_millis() as u64);
        } else {
            self.say(&format!("load and faults for {:.0} s", limit.as_secs_f64()));
        }
        while recorder.start().elapsed() < limit && !interrupt.raised() && !recorder.failed() {
            let elapsed = recorder.start().elapsed();
            let text =
                format!("{:.0} of {:.0} s, {} events", elapsed.as_secs_f64(), limit.as_secs_f64(), recorder.written());
            match &self.bar {
                Some(bar) => {
                    bar.set_position(elapsed.as_millis() as u64);
                    bar.set_message(text);
                }
                None if said.elapsed() >= PLAIN => {
                    said = Instant::now();
                    self.say(&text);
                }
                None => {}
            }
            tokio::time::sleep(TICK.min(limit.saturating_sub(elapsed))).await;
        }
    }

    /// Takes the display away.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.finish();
    }
}
