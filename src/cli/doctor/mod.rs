//! `modelhub doctor`: finds problems, and says what to do about them.
//!
//! Steps: read the settings of this shell → ask the hub (`hub`), or, if none runs, look at what a start needs
//! (`stopped`) → look at the variables that Hugging Face tools read (`shell`) → show all findings. A finding that
//! fails decides the exit code; the checks themselves never stop each other.

mod hub;
mod shell;
mod stopped;

use serde_json::json;

use super::client::{Client, Connection};
use super::failure::{Code, Failure, Outcome};
use super::format::counted;
use super::output::{Screen, Tone, clean, one_line};
use crate::config::Config;
use crate::domain::Clock;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Ok,
    Warn,
    Fail,
}

impl Verdict {
    fn word(self) -> (&'static str, Tone) {
        match self {
            Self::Ok => ("ok", Tone::Good),
            Self::Warn => ("warn", Tone::Warning),
            Self::Fail => ("fail", Tone::Bad),
        }
    }
}

/// One line of the report.
#[derive(Debug, PartialEq, Eq)]
struct Finding {
    verdict: Verdict,
    /// What was looked at, in a word or two.
    name: &'static str,
    text: String,
    /// What to do; empty if nothing is to be done.
    advice: String,
}

/// The report, as it grows.
#[derive(Default)]
struct Report(Vec<Finding>);

impl Report {
    fn ok(&mut self, name: &'static str, text: impl Into<String>) {
        self.add(Verdict::Ok, name, text, "");
    }

    fn warn(&mut self, name: &'static str, text: impl Into<String>, advice: impl Into<String>) {
        self.add(Verdict::Warn, name, text, advice);
    }

    fn fail(&mut self, name: &'static str, text: impl Into<String>, advice: impl Into<String>) {
        self.add(Verdict::Fail, name, text, advice);
    }

    fn add(&mut self, verdict: Verdict, name: &'static str, text: impl Into<String>, advice: impl Into<String>) {
        let (text, advice) = (one_line(&text.into()), one_line(&advice.into()));
        self.0.push(Finding { verdict, name, text, advice });
    }

    fn count(&self, verdict: Verdict) -> usize {
        self.0.iter().filter(|finding| finding.verdict == verdict).count()
    }
}

pub(super) async fn run(connection: &Connection) -> Outcome {
    let screen = Screen::new(connection.json);
    let mut report = Report::default();
    let config = Config::load(connection.config.as_deref(), std::env::vars(), &[]);
    match &config {
        Ok(_) => report.ok("settings", "valid in this shell"),
        Err(error) => report.fail("settings", error.to_string(), "fix them; see modelhub config check"),
    }
    let config = config.ok();
    let mut endpoint = None;
    match Client::new(connection) {
        Err(failure) => report.fail("admin API", failure.text, ""),
        Ok(client) => match client.probe(&format!("{}/healthz", client.address())).await {
            Ok(answer) => {
                hub::clock(&mut report, &client, &answer, &Clock::system());
                endpoint = hub::look(&mut report, &client, config.as_ref()).await;
            }
            Err(cause) => {
                let text = format!("cannot connect to {} ({cause})", client.address());
                report.fail("admin API", text, "start the hub (modelhub serve), or give its address with --url");
                if let Some(config) = config.as_ref().filter(|_| super::client::is_local(client.base())) {
                    stopped::look(&mut report, config);
                    stopped::object_store(&mut report, config).await;
                }
            }
        },
    }
    let endpoint = endpoint.or_else(|| config.as_ref().map(stopped::endpoint));
    shell::look(&mut report, &shell::Variables::of_process(), endpoint.as_deref());
    show(&screen, &report)
}

fn show(screen: &Screen, report: &Report) -> Outcome {
    if screen.json {
        let findings = report.0.iter().map(|finding| {
            json!({
                "check": finding.name,
                "status": finding.verdict.word().0,
                "text": finding.text,
                "advice": finding.advice,
            })
        });
        screen.print_json(&findings.collect())?;
    } else {
        let width = report.0.iter().map(|finding| finding.name.len()).max().unwrap_or(0);
        for finding in &report.0 {
            let (word, tone) = finding.verdict.word();
            let mark = screen.paint(&format!("{word:<4}"), tone);
            screen.print(&format!("{mark}  {:<width$}  {}", finding.name, clean(&finding.text)))?;
            if !finding.advice.is_empty() {
                screen.print(&format!("      {:<width$}  → {}", "", clean(&finding.advice)))?;
            }
        }
    }
    let (fails, warnings) = (report.count(Verdict::Fail), report.count(Verdict::Warn));
    if fails > 0 {
        return Err(match screen.json {
            true => Failure::silent(Code::Failed),
            false => {
                let (failed, warned) = (counted(fails as u64, "failed check"), counted(warnings as u64, "warning"));
                Failure::new(Code::Failed, format!("{failed}, {warned}"))
            }
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_is_one_line() {
        let mut report = Report::default();
        report.warn("token", "not checked: no\n  Try again in 17 s", "wait");
        assert_eq!(report.0[0].text, "not checked: no; Try again in 17 s");
    }
}
