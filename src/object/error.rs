//! How a call to the object store failed, in words that can be shown.

/// Cheap to show: no address with a signature, no key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// There is no such object.
    #[error("there is no such object")]
    Missing,
    /// Another try will not help before somebody has changed something.
    #[error("{0}")]
    Refused(String),
    #[error("{0}")]
    Failed(String),
}

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What is shown of an answer at most.
const SHOWN: usize = 300;

impl From<object_store::Error> for Error {
    fn from(error: object_store::Error) -> Self {
        use object_store::Error as E;
        let text = full(&error);
        let code = between(&text, "<Code>", "</Code>").map(str::to_owned);
        let said = code.as_deref().map(|code| format!(" ({code})")).unwrap_or_default();
        match (&error, code.as_deref()) {
            (_, Some("NoSuchBucket")) => Self::Refused("there is no such bucket".into()),
            (_, Some("NoSuchUpload")) => Self::Missing,
            (E::NotFound { .. }, _) => Self::Missing,
            (E::PermissionDenied { .. } | E::Unauthenticated { .. }, _)
            | (_, Some("InvalidAccessKeyId" | "SignatureDoesNotMatch" | "AccessDenied" | "ExpiredToken")) => {
                Self::Refused(format!("the credentials are refused{said}"))
            }
            (_, Some("RequestTimeTooSkewed")) => {
                Self::Refused("this machine's clock is wrong: the store refuses the time of its requests".into())
            }
            (_, Some(code)) => {
                let message = between(&text, "<Message>", "</Message>").unwrap_or("no reason given");
                Self::Failed(short(&format!("{message} ({code})")))
            }
            _ => Self::Failed(short(&text)),
        }
    }
}

/// An error with its causes, each once.
fn full(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let more = cause.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        source = cause.source();
    }
    text
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> Option<&'a str> {
    let rest = &text[text.find(start)? + start.len()..];
    rest.find(end).map(|end| &rest[..end])
}

/// One line of bounded length.
fn short(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn generic(text: &str) -> Error {
        Error::from(object_store::Error::Generic { store: "S3", source: text.into() })
    }

    #[test]
    fn what_the_store_says_is_told_in_one_line() {
        let xml = "status 403: <Error><Code>SignatureDoesNotMatch</Code><Message>m</Message></Error>";
        assert_eq!(generic(xml), Error::Refused("the credentials are refused (SignatureDoesNotMatch)".into()));
        let xml = "status 404: <Error><Code>NoSuchBucket</Code></Error>";
        assert_eq!(generic(xml), Error::Refused("there is no such bucket".into()));
        let xml = "status 503: <Error>\n<Code>SlowDown</Code><Message>Please reduce\n your rate</Message></Error>";
        assert_eq!(generic(xml), Error::Failed("Please reduce your rate (SlowDown)".into()));
        let Error::Failed(text) = generic(&"é".repeat(1000)) else { panic!() };
        assert!(text.chars().count() <= SHOWN + 1, "{}", text.len());
    }
}
