//! The page for people who open the hub in a browser.

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, Response, StatusCode};

use crate::api::respond;

/// How to use this hub, with the address that the visitor sees.
pub(super) fn page(base: &str) -> Response<Body> {
    let html = PAGE.replace("{base}", base);
    let mut response = respond::own(StatusCode::OK, "text/html; charset=utf-8", html);
    // The address comes from the request's Host, of which only host characters are let through;
    // nothing on this page runs or loads anything.
    let policy = HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'");
    response.headers_mut().insert(HeaderName::from_static("content-security-policy"), policy);
    response
}

const PAGE: &str = r#"<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>modelhub</title><link rel="icon" href="data:,">
<style>
 body { font: 16px/1.5 system-ui, sans-serif; max-width: 46rem; margin: 3rem auto; padding: 0 1rem; color: #1c2430; background: #fbfbfd }
 pre { background: #eef0f5; padding: .8rem 1rem; border-radius: 6px; overflow-x: auto }
 h1 { font-size: 1.5rem } h2 { font-size: 1.1rem; margin-top: 2rem }
 @media (prefers-color-scheme: dark) { body { color: #dde3ee; background: #14171d } pre { background: #1f242d } a { color: #8ab4ff } }
</style></head><body>
<h1>modelhub is running</h1>
<p>A Hugging Face hub for the tools you already use: each file is downloaded once, verified, cached,
and served to all of them, even when Hugging Face is unreachable.</p>
<h2>Shell: hf, transformers, diffusers, datasets, vLLM</h2>
<pre>export HF_ENDPOINT={base}
hf download openai-community/gpt2</pre>
<h2>Python, before the first import of a Hugging Face library</h2>
<pre>import os
os.environ["HF_ENDPOINT"] = "{base}"</pre>
<h2>Docker</h2>
<pre>docker run -e HF_ENDPOINT={base} …</pre>
<h2>llama.cpp</h2>
<pre>HF_ENDPOINT={base}/ llama-cli -hf ggml-org/gemma-3-1b-it-GGUF</pre>
<p>Private and gated repositories work with your own token (HF_TOKEN), which is used for your requests only.</p>
<p>The response header <code>X-Modelhub-Cache</code> says how a request was served: hit, miss, join, stale or bypass.</p>
</body></html>
"#;
