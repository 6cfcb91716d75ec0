//! The dashboard: files of admin-ui/dist, built into the program.
//!
//! Names in `assets/` have a hash and never change, so browsers keep them; all else is asked for again, and answered with
//! 304 while it is the same. A path that is no file is a page of the application, which finds its way by itself: names of
//! models have dots too. The build has compressed what is text, as well as it can be; browsers get that form.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, Uri, header};

use super::problem::Problem;

#[derive(rust_embed::RustEmbed)]
#[folder = "admin-ui/dist"]
#[allow_missing = true]
struct Files;

/// Codings as clients name them, and how the names of such files end; the best first.
const CODINGS: [(&str, &str); 2] = [("br", ".br"), ("gzip", ".gz")];

const FOREVER: &str = "public, max-age=31536000, immutable";
const ASK_AGAIN: &str = "no-cache";

pub(super) async fn index(headers: HeaderMap) -> Response<Body> {
    answer("index.html", ASK_AGAIN, &headers).unwrap_or_else(|| {
        let detail = "this program was built without the dashboard; run `make ui` and rebuild";
        Problem::new(StatusCode::NOT_FOUND, detail).response()
    })
}

/// Names in it are plain: a percent-encoded path never matches.
pub(super) async fn asset(uri: Uri, headers: HeaderMap) -> Response<Body> {
    let path = uri.path().strip_prefix("/ui/").unwrap_or_default();
    let is_asset = path.starts_with("assets/");
    match answer(path, if is_asset { FOREVER } else { ASK_AGAIN }, &headers) {
        Some(answer) => answer,
        None if is_asset => Problem::new(StatusCode::NOT_FOUND, format!("no such dashboard file: {path}")).response(),
        None => index(headers).await,
    }
}

/// The file in the best form that the client takes, or that it has this one already.
fn answer(path: &str, cached: &'static str, asked: &HeaderMap) -> Option<Response<Body>> {
    let plain = Files::get(path)?;
    let packed = CODINGS.iter().filter(|(coding, _)| takes(asked, coding)).find_map(|(coding, ending)| {
        let file = Files::get(&format!("{path}{ending}"))?;
        Some((*coding, file))
    });
    let (coding, file) = packed.map_or((None, plain), |(coding, file)| (Some(coding), file));
    // Of these bytes, so that no two forms have the same one.
    let tag = format!("\"{}\"", hex::encode(&file.metadata.sha256_hash()[..16]));
    let known = asked.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let is_known = known.flat_map(|value| value.split(',')).any(|known| known.trim().trim_start_matches("W/") == tag);

    let mut response = Response::new(if is_known { Body::empty() } else { Body::from(file.data) });
    if is_known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cached));
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    headers.insert(header::ETAG, HeaderValue::try_from(tag).expect("hexadecimal digits"));
    if !is_known {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type(path)));
        if let Some(coding) = coding {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding));
        }
    }
    Some(response)
}

/// Whether the client names the coding, and not with a weight of nothing (RFC 9110, 12.5.3).
fn takes(asked: &HeaderMap, coding: &str) -> bool {
    let values = asked.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|one| {
        let (name, weight) = one.split_once(';').unwrap_or((one, "q=1"));
        let weight = weight.trim().strip_prefix("q=").and_then(|weight| weight.parse::<f32>().ok());
        name.trim().eq_ignore_ascii_case(coding) && weight.is_some_and(|weight| weight > 0.0)
    })
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "json" | "webmanifest" => "application/json",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_coding_is_taken_when_it_is_named_with_a_weight() {
        let takes = |text: &str, coding| {
            takes(&HeaderMap::from_iter([(header::ACCEPT_ENCODING, HeaderValue::try_from(text).unwrap())]), coding)
        };
        assert!(takes("gzip, deflate, br, zstd", "br"));
        assert!(takes("gzip;q=0.5, BR; q=1.0", "br"));
        assert!(!takes("gzip, br;q=0", "br"));
        assert!(!takes("gzip, brotli", "br"));
        assert!(!takes("", "gzip"));
    }
}
