//! How a command fails: a sentence for people, and an exit code for scripts.
//!
//! The codes are promised in `--help` and the README; nothing else of the process ends with them.

use std::fmt;
use std::process::ExitCode;

/// What the exit code says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Code {
    /// Nobody reads the output any more, which is not a failure.
    Quiet = 0,
    /// A job failed, or the server did.
    Failed = 1,
    /// The request is invalid.
    Usage = 2,
    NotFound = 3,
    /// The hub is unreachable.
    Unreachable = 4,
    /// A token is missing or wrong.
    Refused = 5,
    /// Ctrl-C, as shells have it.
    Interrupted = 130,
}

/// Why a command ends early. The text is for people; it is empty if everything was said already.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) code: Code,
    pub(super) text: String,
}

/// What commands give back.
pub(super) type Outcome<T = ()> = Result<T, Failure>;

impl Failure {
    pub(super) fn new(code: Code, text: impl Into<String>) -> Self {
        Self { code, text: text.into() }
    }

    pub(super) fn usage(text: impl Into<String>) -> Self {
        Self::new(Code::Usage, text)
    }

    /// For what was shown already.
    pub(super) fn silent(code: Code) -> Self {
        Self::new(code, "")
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl From<Code> for ExitCode {
    fn from(code: Code) -> Self {
        Self::from(code as u8)
    }
}

/// What a status of the admin API means to a caller.
pub(super) fn code_of(status: u16) -> Code {
    match status {
        401 | 403 | 421 => Code::Refused,
        404 | 410 => Code::NotFound,
        429 => Code::Failed,
        400..=499 => Code::Usage,
        _ => Code::Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_become_the_promised_codes() {
        let codes = [400, 404, 401, 403, 409, 421, 429, 500, 503].map(|status| code_of(status) as u8);
        assert_eq!(codes, [2, 3, 5, 5, 2, 5, 1, 1, 1]);
    }
}
