//! The only place that writes to the terminal: results to standard output, everything else to standard error.
//!
//! Colours only on a terminal and without NO_COLOR. Text that came from elsewhere cannot steer the terminal: `clean`
//! takes control characters out. A reader who leaves (`| head`) ends the command quietly.

use std::io::{self, IsTerminal as _, Write as _};

use serde_json::Value;

use super::failure::{Code, Failure, Outcome};

/// The meaning of a piece of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Tone {
    #[default]
    Plain,
    Strong,
    Faint,
    Good,
    Warning,
    Bad,
}

/// What results are written to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Screen {
    /// Results as JSON.
    pub(super) json: bool,
    pub(super) colour: bool,
    /// Columns of the terminal; `None` if it is not a terminal.
    pub(super) width: Option<usize>,
}

impl Screen {
    pub(super) fn new(json: bool) -> Self {
        let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let is_terminal = io::stdout().is_terminal();
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self { json, colour: is_terminal && !set("NO_COLOR") && !dumb, width: is_terminal.then(columns) }
    }

    /// A result, with a line end after it.
    pub(super) fn print(&self, text: &str) -> Outcome {
        let mut out = io::stdout().lock();
        let text = text.strip_suffix('\n').unwrap_or(text);
        out.write_all(text.as_bytes()).and_then(|()| out.write_all(b"\n")).and_then(|()| out.flush()).map_err(|error| {
            if error.kind() == io::ErrorKind::BrokenPipe {
                return Failure::silent(Code::Quiet);
            }
            Failure::new(Code::Failed, format!("cannot write the output: {error}"))
        })
    }

    /// A result as JSON, one document.
    pub(super) fn print_json(&self, value: &Value) -> Outcome {
        self.print(&serde_json::to_string_pretty(value).unwrap_or_default())
    }

    /// One of many JSON results, on a line of its own.
    pub(super) fn print_json_line(&self, value: &Value) -> Outcome {
        self.print(&value.to_string())
    }

    pub(super) fn paint(&self, text: &str, tone: Tone) -> String {
        let code = match tone {
            Tone::Plain => return text.to_owned(),
            _ if !self.colour => return text.to_owned(),
            Tone::Strong => "1",
            Tone::Faint => "2",
            Tone::Good => "32",
            Tone::Warning => "33",
            Tone::Bad => "31",
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }
}

/// A note besides the results. Failing to write it is not an error.
pub(super) fn note(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// What a person who starts a server needs to see. The server starts whether or not anybody reads it.
pub(super) fn announce(text: String) {
    std::thread::spawn(move || {
        let mut out = io::stdout().lock();
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    });
}

/// Whether a person sees remarks and can answer questions.
pub(super) fn is_attended() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Asks yes or no; yes if just Enter is pressed.
pub(super) fn confirm(question: &str) -> Outcome<bool> {
    let failed = |error| Failure::new(Code::Failed, format!("cannot prompt: {error}"));
    let mut err = io::stderr().lock();
    write!(err, "{question} [Y/n] ").and_then(|()| err.flush()).map_err(failed)?;
    let mut answer = String::new();
    if io::stdin().read_line(&mut answer).map_err(failed)? == 0 {
        return Ok(false);
    }
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "" | "y" | "yes"))
}

/// Continues only if a person confirms, interactively or with -y.
pub(super) fn agree(yes: bool, question: &str, otherwise: &str) -> Outcome {
    if yes {
        return Ok(());
    }
    if !is_attended() {
        return Err(Failure::usage(format!("{question} Not a terminal: use -y to confirm; {otherwise}")));
    }
    if confirm(question)? { Ok(()) } else { Err(Failure::new(Code::Interrupted, otherwise)) }
}

/// A secret from standard input: the first line that is piped in, or what is typed, which is not shown. Ctrl-C leaves
/// the terminal as it was.
pub(super) async fn read_secret(prompt: &str) -> Outcome<String> {
    use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
    let failed = |error: io::Error| Failure::new(Code::Failed, format!("cannot read the token: {error}"));
    let stdin = io::stdin();
    if !stdin.is_terminal() {
        return read_line().map_err(failed);
    }
    let before = tcgetattr(&stdin).map_err(|e| failed(e.into()))?;
    let mut hidden = before.clone();
    hidden.local_modes.remove(LocalModes::ECHO);
    let interrupted = tokio::signal::ctrl_c();
    tcsetattr(&stdin, OptionalActions::Flush, &hidden).map_err(|e| failed(e.into()))?;
    let _ = write!(io::stderr(), "{prompt}: ");
    // A thread of its own: nothing can end a read from a terminal, and the process need not wait for it.
    let (sender, receiver) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || sender.send(read_line()));
    let line = tokio::select! {
        line = receiver => line.unwrap_or_else(|error| Err(io::Error::other(error))).map_err(failed),
        _ = interrupted => Err(Failure::new(Code::Interrupted, "nothing was changed")),
    };
    let restored = tcsetattr(&stdin, OptionalActions::Flush, &before);
    // The Enter that ended the line was not shown either.
    note("");
    restored.map_err(|e| failed(e.into()))?;
    line
}

fn read_line() -> io::Result<String> {
    let mut line = String::new();
    io::stdin().read_line(&mut line)?;
    Ok(line.trim().to_owned())
}

fn columns() -> usize {
    let size = rustix::termios::tcgetwinsize(io::stdout()).map_or(0, |size| usize::from(size.ws_col));
    if size == 0 { 100 } else { size }
}

/// Text from elsewhere on one line, without characters that steer terminals or turn the direction of writing.
pub(super) fn clean(text: &str) -> String {
    text.chars().map(|c| if steers(c) { '\u{fffd}' } else { c }).collect()
}

/// A text of several lines in one.
pub(super) fn one_line(text: &str) -> String {
    let lines: Vec<_> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines.join("; ")
}

/// As `clean`, with line ends and tabs kept.
pub(super) fn clean_lines(text: &str) -> String {
    text.chars().map(|c| if steers(c) && !matches!(c, '\n' | '\t') { '\u{fffd}' } else { c }).collect()
}

fn steers(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_steer_the_terminal() {
        assert_eq!(clean("a\x1b[31m\nb\u{202e}c"), "a\u{fffd}[31m\u{fffd}b\u{fffd}c");
        assert_eq!(clean_lines("a\n\tb\r"), "a\n\tb\u{fffd}");
        assert_eq!(clean("模型/päth"), "模型/päth");
    }

    #[test]
    fn without_colour_text_stays_as_it_is() {
        let screen = Screen { json: false, colour: false, width: None };
        assert_eq!(screen.paint("x", Tone::Bad), "x");
        assert_eq!(Screen { colour: true, ..screen }.paint("x", Tone::Bad), "\x1b[31mx\x1b[0m");
    }
}
