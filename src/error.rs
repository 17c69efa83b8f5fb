//! What a user is told when something cannot be done, and with which exit code.

use std::fmt;

/// Why a command ended without doing what it was asked: one line that says what failed, on what,
/// what is allowed and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// How the process ends.
    pub exit: Exit,
    /// The line.
    pub message: String,
}

/// How the process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Everything was done.
    Ok,
    /// A run failed, or a cell of it.
    Failed,
    /// What was asked makes no sense or cannot be read.
    Usage,
    /// An answer was wrong.
    WrongAnswer,
    /// A bound was not met.
    Bound,
    /// Whether a bound is met cannot be told.
    Inconclusive,
    /// Nothing could run here.
    Unsupported,
    /// Stopped by a signal; what was finished is saved.
    Interrupted,
}

impl Exit {
    /// The process's exit code.
    pub fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::WrongAnswer => 3,
            Self::Bound => 4,
            Self::Inconclusive => 5,
            Self::Unsupported => 6,
            Self::Interrupted => 130,
        }
    }
}

impl Error {
    /// What was asked makes no sense or cannot be read.
    pub fn usage(message: impl fmt::Display) -> Self {
        Self { exit: Exit::Usage, message: message.to_string() }
    }

    /// A run failed.
    pub fn failed(message: impl fmt::Display) -> Self {
        Self { exit: Exit::Failed, message: message.to_string() }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}
