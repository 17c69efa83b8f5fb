//! Progress on standard error, for people at a terminal.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::run::Observer;

/// A line that is drawn between launches and then stands still: no thread ticks, because drawing
/// takes time from the cell that is being measured. indicatif draws nothing where standard error
/// is not a terminal.
pub(super) struct Progress(ProgressBar);

impl Progress {
    pub(super) fn new() -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        let style = ProgressStyle::with_template("{bar:24} {pos}/{len} {elapsed} {wide_msg}");
        bar.set_style(style.expect("a constant template"));
        Self(bar)
    }

    pub(super) fn finish(&self) {
        self.0.finish_and_clear();
    }
}

impl Observer for Progress {
    fn launching(&mut self, done: usize, total: usize, what: &str) {
        self.0.set_length(total as u64);
        self.0.set_position(done as u64);
        self.0.set_message(what.to_owned());
        // What the calls above drew may have been held back by the rate limit; this one is not.
        self.0.force_draw();
    }

    fn note(&mut self, text: &str) {
        self.0.suspend(|| eprintln!("note: {text}"));
    }
}
