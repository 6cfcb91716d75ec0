//! `modelhub settings`: what can be changed while the hub runs. The Hugging Face token comes from standard input or a
//! prompt, never from the command line, where everybody on the machine could read it.

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::call::Call;
use super::client::read;
use super::failure::{Code, Failure, Outcome};
use super::format::{limit, parse_seconds, parse_size, span};
use super::output::{Tone, clean, read_secret};
use super::table::{Cell, fields};
use crate::pb;

#[derive(Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Show the settings (the default)
    Show,
    /// Change settings: key=value …
    #[command(
        after_help = "Keys:\n  offline=true|false                 make no upstream requests\n  max_downloads=4                    concurrent download jobs\n  download_bytes_per_second=10MiB    speed limit of all of them together; 0: no limit\n  download_hours=22:00-06:00         download window, local time; empty: always\n  store_limit_bytes=500GiB           maximum size of the store; 0: no limit\n  ref_ttl_seconds=60s                how long to trust where a branch points\n\nExample:\n  modelhub settings set download_hours=22:00-06:00 max_downloads=4"
    )]
    Set {
        /// E.g. max_downloads=4
        #[arg(required = true, value_name = "KEY=VALUE")]
        pairs: Vec<String>,
    },
    /// Set the hub's own Hugging Face token, from standard input or a prompt
    Token {
        /// Remove the token instead
        #[arg(long)]
        remove: bool,
    },
    /// Check the hub's token with upstream
    TestToken {
        /// Check one from standard input or a prompt instead, without setting it
        #[arg(long)]
        stdin: bool,
    },
}

pub(super) async fn run(call: &Call, arguments: Arguments) -> Outcome {
    match arguments.command.unwrap_or(Command::Show) {
        Command::Show => {
            let value = call.client.get("/v1/settings", &[]).await?;
            show(call, &value)
        }
        Command::Set { pairs } => {
            let value = call.client.patch("/v1/settings", &changes(&pairs)?).await?;
            show(call, &value)
        }
        Command::Token { remove } => {
            let token = if remove { String::new() } else { read_secret("Hugging Face token").await? };
            if token.is_empty() && !remove {
                return Err(Failure::usage(
                    "no token given: pipe one in, e.g. modelhub settings token < FILE, or use --remove",
                ));
            }
            let value = call.client.patch("/v1/settings", &json!({"hf_token": token})).await?;
            show(call, &value)
        }
        Command::TestToken { stdin } => {
            let token = if stdin { read_secret("Hugging Face token").await? } else { String::new() };
            test(call, &token).await
        }
    }
}

async fn test(call: &Call, token: &str) -> Outcome {
    let value = call.client.post("/v1/settings/test-token", &json!({"token": token})).await?;
    let answer: pb::TestTokenResponse = read(&value)?;
    if call.screen.json {
        call.screen.print_json(&value)?;
        return if answer.valid { Ok(()) } else { Err(Failure::silent(Code::Refused)) };
    }
    if !answer.valid {
        return Err(Failure::new(Code::Refused, clean(&answer.problem)));
    }
    call.screen.print(&format!("valid for {}", clean(&answer.account)))
}

/// The body of a change. Unknown keys are left to the server, which lists the known ones.
fn changes(pairs: &[String]) -> Outcome<Value> {
    let mut body = Map::new();
    for pair in pairs {
        let Some((key, text)) = pair.split_once('=') else {
            return Err(Failure::usage(format!(
                "`{pair}`: expected key=value; see modelhub settings set --help for the keys"
            )));
        };
        let (key, text) = (key.trim().replace('-', "_"), text.trim());
        let wrong = |rule: &str| Failure::usage(format!("{key}: {rule}"));
        let value = match key.as_str() {
            "hf_token" => {
                let text = "hf_token: command lines are visible to other users; use `modelhub settings token`";
                return Err(Failure::usage(text));
            }
            "offline" => match text {
                "true" | "yes" | "on" | "1" => json!(true),
                "false" | "no" | "off" | "0" => json!(false),
                _ => return Err(wrong("expected true or false")),
            },
            "max_downloads" => json!(text.parse::<u32>().map_err(|_| wrong("expected a whole number"))?),
            "download_bytes_per_second" | "store_limit_bytes" => json!(parse_size(text).map_err(|rule| wrong(&rule))?),
            "ref_ttl_seconds" => json!(parse_seconds(text).map_err(|rule| wrong(&rule))?),
            "download_hours" => json!(text),
            _ => return Err(wrong("unknown setting; see modelhub settings set --help for the list")),
        };
        if body.insert(key.clone(), value).is_some() {
            return Err(Failure::usage(format!("{key} is given more than once")));
        }
    }
    Ok(Value::Object(body))
}

fn show(call: &Call, value: &Value) -> Outcome {
    if call.screen.json {
        return call.screen.print_json(value);
    }
    let settings: pb::Settings = read(value)?;
    let token = match settings.hf_token_source.as_str() {
        "" => "none".to_owned(),
        "settings" => "set at run time".to_owned(),
        source => format!("set in the {source}"),
    };
    let hours = if settings.download_hours.is_empty() { "always" } else { &settings.download_hours };
    let offline = if settings.offline { Cell::new("true", Tone::Warning) } else { "false".into() };
    let text = fields(
        &call.screen,
        [
            ("offline", offline),
            ("max_downloads", settings.max_downloads.to_string().into()),
            ("download_bytes_per_second", limit(settings.download_bytes_per_second, "").into()),
            ("download_hours", hours.into()),
            ("store_limit_bytes", limit(settings.store_limit_bytes, "").into()),
            ("ref_ttl_seconds", span(settings.ref_ttl_seconds).into()),
            ("Hugging Face token", token.into()),
            ("storage path", settings.storage_path.into()),
            ("database", settings.database.into()),
            ("upstream", settings.upstream_url.into()),
            ("HF_ENDPOINT", settings.endpoint.into()),
        ],
    );
    call.screen.print(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[&str]) -> Result<Value, String> {
        changes(&pairs.iter().map(|pair| (*pair).to_owned()).collect::<Vec<_>>()).map_err(|failure| failure.text)
    }

    #[test]
    fn values_are_read_as_people_write_them() {
        let body =
            of(&["offline=on", "download-bytes-per-second=10MiB", "ref_ttl_seconds=2m", "download_hours="]).unwrap();
        let expected = json!({
            "offline": true, "download_bytes_per_second": 10 << 20, "ref_ttl_seconds": 120, "download_hours": ""
        });
        assert_eq!(body, expected);
    }

    #[test]
    fn mistakes_and_tokens_are_refused() {
        for (wrong, says) in [
            ("offline", "key=value"),
            ("offline=maybe", "true or false"),
            ("max_downloads=many", "whole number"),
            ("colour=red", "unknown setting"),
            ("hf_token=hf_x", "settings token"),
        ] {
            assert!(of(&[wrong]).unwrap_err().contains(says), "{wrong}");
        }
        assert!(of(&["offline=on", "offline=off"]).unwrap_err().contains("more than once"));
    }
}
