//! A file's path inside a repository.

use std::fmt;

use super::ParseError;

/// Relative, `/`-separated, already normal: it cannot name anything outside its repository.
///
/// No string from the wire ever becomes a file name in the store (only digests do), but
/// clients write these paths under their own cache folder, so a listing that names `../x`
/// must not pass through us either.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RepoPath(String);

impl RepoPath {
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let fail = |rule| Err(ParseError::new("path", text, rule));
        if text.is_empty() || text.len() > 1024 {
            return fail("a path must have 1 to 1024 bytes");
        }
        if text.chars().any(|c| c.is_control() || c == '\\') {
            return fail("control characters and `\\` are not allowed");
        }
        for segment in text.split('/') {
            if segment.is_empty() {
                return fail("a path must be relative, without empty parts");
            }
            if segment == "." || segment == ".." {
                return fail("`.` and `..` are not allowed as parts");
            }
            if segment.len() > 255 {
                return fail("each part must have at most 255 bytes");
            }
        }
        Ok(Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn file_name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }
}

impl fmt::Display for RepoPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_legal_file_name_is_accepted() {
        for good in [
            "config.json",
            "a/b/c",
            "sub dir/file #1 name.txt",
            "ü/文件.bin",
            "...",
            "a..b",
            ".gitattributes",
            "100%.txt",
            "resolve/main/x",
        ] {
            assert_eq!(RepoPath::parse(good).map(|p| p.to_string()), Ok(good.to_owned()));
        }
    }

    #[test]
    fn paths_that_could_traverse_are_refused() {
        let long = "y".repeat(256);
        for bad in ["", "/etc/passwd", "../x", "a/../b", "a/./b", "a//b", "a/", "a\\b", "a\0b", "a\nb", &long] {
            assert!(RepoPath::parse(bad).is_err(), "{bad:?} was accepted");
        }
    }
}
