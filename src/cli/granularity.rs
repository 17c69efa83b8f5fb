//! `run --granularity`: what it means for the rest of the command line.

use clap::Args;
use manyhands_record::Chunk;

use crate::run::options::Options;

#[derive(Debug, Clone, Args)]
pub(super) struct GranularityArgs {
    /// Sweep the length of a task instead of comparing at one: what a task costs, how long it must
    /// be for half of the best rate (METG), efficiency at 1, 10 and 100 us. For spin. With it,
    /// unless told otherwise: as many workers as cores, chunks of one task
    #[arg(long, conflicts_with_all = ["aa", "weak", "trace", "rate", "input", "preset"])]
    pub(super) granularity: bool,
}

impl GranularityArgs {
    /// Chunks of one task: larger ones would share a task's cost among several.
    pub(super) fn apply(&self, options: Options) -> Options {
        let chunk = match options.chunk {
            Chunk::Auto if self.granularity => Chunk::Tasks(1),
            asked => asked,
        };
        Options { granularity: self.granularity, chunk, ..options }
    }
}
