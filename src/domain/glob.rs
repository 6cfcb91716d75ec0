//! Patterns over paths, as Hugging Face's tools have them.

use super::ParseError;

/// A pattern of `fnmatch`: `*` any characters, `?` one, `[abc]`, `[a-z]`, `[!abc]`. Case matters.
pub(super) struct Glob(Vec<Piece>);

enum Piece {
    Any,
    One,
    Char(char),
    Class { negated: bool, ranges: Vec<(char, char)> },
}

/// The class at the beginning of `chars`, and how many characters it takes.
fn class(chars: &[char]) -> Option<(Piece, usize)> {
    let negated = chars.get(1) == Some(&'!');
    let start = if negated { 2 } else { 1 };
    // A `]` that comes first is a member.
    let end = (start + 1..chars.len()).find(|at| chars[*at] == ']')?;
    let members = &chars[start..end];
    let mut ranges = Vec::new();
    let mut at = 0;
    while at < members.len() {
        if at + 2 < members.len() && members[at + 1] == '-' {
            ranges.push((members[at], members[at + 2]));
            at += 3;
        } else {
            ranges.push((members[at], members[at]));
            at += 1;
        }
    }
    Some((Piece::Class { negated, ranges }, end + 1))
}

impl Glob {
    /// Errors if it is empty, too long, or has a NUL.
    pub(super) fn parse(pattern: &str) -> Result<Self, ParseError> {
        if pattern.is_empty() || pattern.len() > 4096 || pattern.contains('\0') {
            return Err(ParseError::new(
                "pattern",
                pattern,
                "expected a glob of 1 to 4096 bytes, such as *.safetensors",
            ));
        }
        let mut pieces = Vec::new();
        let chars: Vec<char> = pattern.chars().chain(pattern.ends_with('/').then_some('*')).collect();
        let mut at = 0;
        while at < chars.len() {
            let piece = match chars[at] {
                '*' if matches!(pieces.last(), Some(Piece::Any)) => {
                    at += 1;
                    continue;
                }
                '*' => Piece::Any,
                '?' => Piece::One,
                '[' => match class(&chars[at..]) {
                    Some((piece, length)) => {
                        at += length - 1;
                        piece
                    }
                    // Without its end a bracket stands for itself.
                    None => Piece::Char('['),
                },
                c => Piece::Char(c),
            };
            pieces.push(piece);
            at += 1;
        }
        Ok(Self(pieces))
    }

    /// In time proportional to pattern × text: only the last `*` is ever gone back to.
    pub(super) fn matches(&self, text: &str) -> bool {
        let text: Vec<char> = text.chars().collect();
        let (mut p, mut t) = (0, 0);
        let mut star: Option<(usize, usize)> = None;
        while t < text.len() {
            let fits = match self.0.get(p) {
                Some(Piece::Any) => {
                    star = Some((p, t));
                    p += 1;
                    continue;
                }
                Some(Piece::One) => true,
                Some(Piece::Char(c)) => *c == text[t],
                Some(Piece::Class { negated, ranges }) => {
                    ranges.iter().any(|(from, to)| (*from..=*to).contains(&text[t])) != *negated
                }
                None => false,
            };
            if fits {
                (p, t) = (p + 1, t + 1);
            } else if let Some((star_p, star_t)) = star {
                star = Some((star_p, star_t + 1));
                (p, t) = (star_p + 1, star_t + 1);
            } else {
                return false;
            }
        }
        self.0[p..].iter().all(|piece| matches!(piece, Piece::Any))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, text: &str) -> bool {
        Glob::parse(pattern).unwrap().matches(text)
    }

    #[test]
    fn globs_are_those_of_fnmatch() {
        assert!(matches("*.safetensors", "unet/model.safetensors"), "a star goes over slashes");
        assert!(matches("unet/*", "unet/a/b"));
        assert!(matches("unet/", "unet/a/b"), "a folder means what is below");
        assert!(!matches("unet/", "unets/a"));
        assert!(matches("model-0000[1-3]-of-?.bin", "model-00002-of-3.bin"));
        assert!(!matches("[!a]b", "ab"));
        assert!(matches("[!a]b", "cb"));
        assert!(matches("a[]]b", "a]b"));
        assert!(matches("a[b", "a[b"));
        assert!(!matches("*.BIN", "a.bin"), "case matters");
        assert!(!matches("a", "ab"));
    }

    #[test]
    fn a_glob_full_of_stars_is_not_slow() {
        assert!(!matches(&"*a".repeat(200), &"a".repeat(150)));
    }
}
