//! The dashboard: files of admin-ui/dist, built into the program.
//!
//! Names in `assets/` have a hash and never change, so browsers keep them; all else is asked for again. A path that is
//! no file is a page of the application, which finds its way by itself: names of models have dots too.

use axum::body::Body;
use axum::http::Uri;
use axum::http::{HeaderValue, Response, StatusCode, header};

use super::problem::Problem;

#[derive(rust_embed::RustEmbed)]
#[folder = "admin-ui/dist"]
#[allow_missing = true]
struct Files;

pub(super) async fn index() -> Response<Body> {
    match Files::get("index.html") {
        Some(file) => answer("index.html", file, "no-cache"),
        None => {
            let detail = "this program was built without the dashboard; run `make ui` and rebuild";
            Problem::new(StatusCode::NOT_FOUND, detail).response()
        }
    }
}

/// Names in it are plain: a percent-encoded path never matches.
pub(super) async fn asset(uri: Uri) -> Response<Body> {
    let path = uri.path().strip_prefix("/ui/").unwrap_or_default().to_owned();
    match Files::get(&path) {
        Some(file) if path.starts_with("assets/") => answer(&path, file, "public, max-age=31536000, immutable"),
        Some(file) => answer(&path, file, "no-cache"),
        None if path.starts_with("assets/") => {
            Problem::new(StatusCode::NOT_FOUND, format!("no such dashboard file: {path}")).response()
        }
        None => index().await,
    }
}

fn answer(path: &str, file: rust_embed::EmbeddedFile, cached: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::from(file.data));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type(path)));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cached));
    response
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
