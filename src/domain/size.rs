//! Numbers of bytes, for people.

use std::fmt;

/// Shows a number of bytes in binary units with three significant digits and no closing zeros: `512 B`, `1 MiB`,
/// `1.07 GiB`. What is less than the next unit stays in its own: `1000 MiB`. The dashboard shows the same
/// (`admin-ui/src/lib/format.ts`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByteSize(pub u64);

const UNITS: [&str; 7] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // In whole numbers, so that halves round up here as they do in the dashboard.
        let rounded = |unit: usize, scale: u128| {
            let one = 1_u128 << (10 * unit);
            (2 * scale * u128::from(self.0) + one) / (2 * one)
        };
        let mut unit = 0;
        while unit + 1 < UNITS.len() && rounded(unit, 1) >= 1024 {
            unit += 1;
        }
        let decimals = match self.0 >> (10 * unit) {
            0..10 => 2,
            10..100 => 1,
            _ => 0,
        };
        let scale = 10_u128.pow(decimals);
        let (whole, part) = (rounded(unit, scale) / scale, rounded(unit, scale) % scale);
        write!(f, "{whole}")?;
        if part != 0 {
            let digits = format!("{part:0width$}", width = decimals as usize);
            write!(f, ".{}", digits.trim_end_matches('0'))?;
        }
        write!(f, " {}", UNITS[unit])
    }
}

#[cfg(test)]
mod tests {
    use super::ByteSize;

    #[test]
    fn a_size_is_shown_as_the_table_says() {
        let lines = include_str!("size.cases").lines().filter(|line| !line.starts_with('#'));
        for line in lines {
            let (bytes, text) = line.split_once(' ').unwrap();
            assert_eq!(ByteSize(bytes.parse().unwrap()).to_string(), text.trim_start(), "{bytes} bytes");
        }
    }
}
