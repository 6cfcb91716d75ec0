//! Numbers of bytes, for people.

use std::fmt;

/// Shows a number of bytes in binary units with three digits at most: `512 B`, `1.5 GiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByteSize(pub u64);

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
        if self.0 < 1024 {
            return write!(f, "{} B", self.0);
        }
        let (mut value, mut unit) = (self.0 as f64 / 1024.0, 0);
        while value >= 999.5 && unit + 1 < UNITS.len() {
            (value, unit) = (value / 1024.0, unit + 1);
        }
        let digits = if value < 9.995 {
            2
        } else if value < 99.95 {
            1
        } else {
            0
        };
        write!(f, "{value:.digits$} {}", UNITS[unit])
    }
}

#[cfg(test)]
mod tests {
    use super::ByteSize;

    #[test]
    fn sizes_have_three_digits() {
        let shown = [0, 1023, 1024, 1536, 10 << 20, 999 << 20, 1000 << 20, u64::MAX].map(|n| ByteSize(n).to_string());
        assert_eq!(shown, ["0 B", "1023 B", "1.00 KiB", "1.50 KiB", "10.0 MiB", "999 MiB", "0.98 GiB", "16.0 EiB"]);
    }
}
