//! Time as text. Commit dates count from a fixed day, so that answers are the same in every run.

use std::time::{SystemTime, UNIX_EPOCH};

/// 2026-01-01T00:00:00Z.
pub(crate) const FIRST_COMMIT: u64 = 1_767_225_600;

/// Seconds since 1970.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// `2026-01-01T00:00:00.000Z`, the form that the clients parse.
pub(crate) fn iso(unix: u64) -> String {
    let (days, rest) = (unix / 86_400, unix % 86_400);
    // Civil date from a day count, with years beginning in March (H. Hinnant, "chrono-compatible low-level date algorithms").
    let z = days + 719_468;
    let (era, of_era) = (z / 146_097, z % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.000Z", rest / 3600, rest / 60 % 60, rest % 60)
}

#[cfg(test)]
mod tests {
    #[test]
    fn dates_are_civil() {
        assert_eq!(super::iso(super::FIRST_COMMIT), "2026-01-01T00:00:00.000Z");
        assert_eq!(super::iso(951_826_149), "2000-02-29T12:09:09.000Z");
    }
}
