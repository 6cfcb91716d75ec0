//! Pages of lists: sizes, and tokens that say where the next one begins.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::api::admin::problem::{Answer, Problem};

const DEFAULT: u32 = 100;
const MOST: u32 = 1000;

/// How many entries a page has.
pub(super) fn size(asked: u32) -> Answer<u64> {
    match asked {
        0 => Ok(u64::from(DEFAULT)),
        1..=MOST => Ok(u64::from(asked)),
        _ => Err(Problem::field("page_size", format!("invalid page size {asked}; expected 1 to {MOST}"))),
    }
}

/// The token that the next page continues from: opaque to callers, so that its meaning can change.
pub(super) fn token(after: &str) -> String {
    URL_SAFE_NO_PAD.encode(after)
}

/// Decodes what `token` made; `None` for the first page.
pub(super) fn after(token: &str) -> Answer<Option<String>> {
    if token.is_empty() {
        return Ok(None);
    }
    let wrong = || Problem::field("page_token", "invalid page_token; use next_page_token from the previous page");
    let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| wrong())?;
    let text = String::from_utf8(bytes).map_err(|_| wrong())?;
    if text.contains('\0') { Err(wrong()) } else { Ok(Some(text)) }
}
