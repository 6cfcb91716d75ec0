//! A daily time window.

use super::ParseError;

/// A daily time window in minutes after midnight; it may span midnight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hours {
    pub from: u16,
    pub to: u16,
}

impl Hours {
    /// `22:00-06:00`.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let minute = |time: &str| {
            let (hour, minute) = time.trim().split_once(':')?;
            let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
            (hour < 24 && minute < 60).then(|| hour * 60 + minute)
        };
        let parsed = text.split_once('-').and_then(|(from, to)| Some(Self { from: minute(from)?, to: minute(to)? }));
        let hours = parsed.ok_or_else(|| ParseError::new("hours", text, "expected e.g. 22:00-06:00"))?;
        if hours.from == hours.to {
            let rule = "start and end are the same; expected e.g. 22:00-06:00, or nothing for the whole day";
            return Err(ParseError::new("hours", text, rule));
        }
        Ok(hours)
    }

    /// When the window opens, `22:00`.
    pub fn opens(self) -> String {
        format!("{:02}:{:02}", self.from / 60, self.from % 60)
    }

    pub fn contain(self, minute: u16) -> bool {
        if self.from <= self.to {
            (self.from..self.to).contains(&minute)
        } else {
            minute >= self.from || minute < self.to
        }
    }
}

impl std::fmt::Display for Hours {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { from, to } = self;
        write!(f, "{:02}:{:02}-{:02}:{:02}", from / 60, from % 60, to / 60, to % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_may_go_over_midnight() {
        let night = Hours::parse("22:00-06:30").unwrap();
        assert!(night.contain(23 * 60) && night.contain(0) && night.contain(389));
        assert!(!night.contain(390) && !night.contain(12 * 60));
        assert_eq!(night.to_string(), "22:00-06:30");
        assert!(Hours::parse("24:00-06:00").is_err());
        assert!(Hours::parse("2001:00-06:00").is_err());
        assert!(Hours::parse("night").is_err());
        assert!(Hours::parse("22:00-22:00").is_err(), "nothing would ever happen in them");
    }
}
