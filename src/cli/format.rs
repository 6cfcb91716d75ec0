//! Numbers and times as people read them, and sizes and spans as they write them.

use crate::config::{Size, Span};
pub(super) use crate::domain::counted::{count, counted};
use crate::domain::{ByteSize, Millis};

/// `1.5 GiB`.
pub(super) fn bytes(count: u64) -> String {
    ByteSize(count).to_string()
}

/// `80 MiB/s`; empty while nothing moves.
pub(super) fn rate(bytes_per_second: u64) -> String {
    if bytes_per_second == 0 { String::new() } else { format!("{}/s", bytes(bytes_per_second)) }
}

/// A limit that 0 switches off.
pub(super) fn limit(count: u64, unit: &str) -> String {
    if count == 0 { "no limit".into() } else { format!("{}{unit}", bytes(count)) }
}

/// Parameters of a model: `1.3 B`.
pub(super) fn magnitude(number: u64) -> String {
    let (value, letter) = match number {
        0..1_000 => return number.to_string(),
        1_000..1_000_000 => (number as f64 / 1e3, "K"),
        1_000_000..1_000_000_000 => (number as f64 / 1e6, "M"),
        _ => (number as f64 / 1e9, "B"),
    };
    if value >= 99.95 { format!("{value:.0} {letter}") } else { format!("{value:.1} {letter}") }
}

/// `2 h 5 min`: the two largest units.
pub(super) fn span(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    let two = |large: u64, unit: &str, small: u64, other: &str| match small {
        0 => format!("{large} {unit}"),
        _ => format!("{large} {unit} {small} {other}"),
    };
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => two(minutes, "min", seconds % 60, "s"),
        (0, ..) => two(hours, "h", minutes, "min"),
        _ => two(days, "d", hours, "h"),
    }
}

pub(super) fn millis(at: &pbjson_types::Timestamp) -> Millis {
    at.seconds.saturating_mul(1000).saturating_add(i64::from(at.nanos) / 1_000_000)
}

/// `3 min ago`, `in 2 h`; empty for no time.
pub(super) fn ago(at: Option<&pbjson_types::Timestamp>, now: Millis) -> String {
    let Some(at) = at.map(millis) else { return String::new() };
    let seconds = now.abs_diff(at) / 1000;
    let coarse = match seconds {
        0..2 => return "now".into(),
        2..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    };
    if at <= now { format!("{coarse} ago") } else { format!("in {coarse}") }
}

/// A time of day and, unless it was today, its date; local.
pub(super) fn clock_time(at: Option<&pbjson_types::Timestamp>, now: Millis) -> String {
    use chrono::{Local, TimeZone as _};
    let local = |ms: Millis| Local.timestamp_millis_opt(ms).single();
    let (Some(at), Some(now)) = (at.map(millis).and_then(local), local(now)) else { return String::new() };
    let format = if at.date_naive() == now.date_naive() { "%H:%M:%S" } else { "%Y-%m-%d %H:%M:%S" };
    at.format(format).to_string()
}

/// The first digits of a commit or an id that nobody reads to its end.
pub(super) fn short(id: &str) -> String {
    let (kind, id) = id.split_once(':').map_or(("", id), |(kind, id)| (kind, id));
    let head: String = id.chars().take(12).collect();
    if kind.is_empty() { head } else { format!("{kind}:{head}") }
}

/// For clap: `8MiB`, `1GiB/s`, or a number of bytes.
pub(super) fn parse_size(text: &str) -> Result<u64, String> {
    let size: Size = parse(text.strip_suffix("/s").unwrap_or(text))?;
    Ok(size.bytes())
}

/// For clap: `30s`, `12h`, `7d`, or a number of seconds.
pub(super) fn parse_seconds(text: &str) -> Result<u64, String> {
    if let Ok(seconds) = text.parse() {
        return Ok(seconds);
    }
    let span: Span = parse(text)?;
    Ok(span.duration().as_secs())
}

/// The settings' own types read their texts.
fn parse<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, String> {
    toml::Value::String(text.trim().replace(' ', ""))
        .try_into()
        .map_err(|error: toml::de::Error| error.message().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_use_binary_units() {
        assert_eq!([0, 1536, 5 << 40].map(bytes), ["0 B", "1.5 KiB", "5 TiB"]);
        assert_eq!((rate(0), rate(2048)), (String::new(), "2 KiB/s".into()));
        assert_eq!((limit(0, "/s"), limit(1024, "/s")), ("no limit".into(), "1 KiB/s".into()));
    }

    #[test]
    fn counts_are_grouped_and_parameters_shortened() {
        assert_eq!([7, 999, 1000, 1_234_567].map(count), ["7", "999", "1,000", "1,234,567"]);
        assert_eq!([counted(1, "file"), counted(0, "file")], ["1 file", "0 files"]);
        assert_eq!([12, 1_500, 124_000_000, 1_300_000_000].map(magnitude), ["12", "1.5 K", "124 M", "1.3 B"]);
    }

    #[test]
    fn times_are_relative() {
        let at = |seconds| pbjson_types::Timestamp { seconds, nanos: 0 };
        let now = 1_000_000_000;
        let shown = [0, 5, 59, 90, 3599, 7200, 86_400 * 3].map(|back| ago(Some(&at(1_000_000 - back)), now));
        assert_eq!(shown, ["now", "5 s ago", "59 s ago", "1 min ago", "59 min ago", "2 h ago", "3 d ago"]);
        assert_eq!(ago(Some(&at(1_000_000 + 300)), now), "in 5 min");
        assert_eq!(ago(None, now), "");
        assert_eq!([5, 65, 3600, 7500, 90_000].map(span), ["5 s", "1 min 5 s", "1 h", "2 h 5 min", "1 d 1 h"]);
    }

    #[test]
    fn sizes_and_spans_are_read_as_in_the_settings() {
        assert_eq!(parse_size("8MiB"), Ok(8 << 20));
        assert_eq!(parse_size("1 GiB/s"), Ok(1 << 30));
        assert_eq!(parse_size("17"), Ok(17));
        assert!(parse_size("fast").unwrap_err().contains("8MiB"));
        assert_eq!([parse_seconds("90"), parse_seconds("2h")], [Ok(90), Ok(7200)]);
        assert!(parse_seconds("soon").unwrap_err().contains("30s"));
        assert_eq!(short("sha256:0123456789abcdef"), "sha256:0123456789ab");
    }
}
