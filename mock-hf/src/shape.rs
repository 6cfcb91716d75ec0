//! Applies faults to a finished [`Reply`]: those about the head are done here, those about the body are noted in a
//! [`Shape`] that the body follows.

use crate::body::{Shape, Stop};
use crate::fault::Fault;
use crate::gzip;
use crate::reply::{Reply, error};

const GZIP_LIMIT: u64 = 64 << 20;

/// Changes `reply` and `shape` as the fault says. Faults that act before the routes (`Delay`, `IgnoreRange`) or after
/// the answer (`MoveRefOnHead`) are the server's business.
pub(crate) fn apply(fault: &Fault, reply: &mut Reply, shape: &mut Shape, api: bool) {
    match fault {
        Fault::CutAfter(n) => shape.stop = Some((*n, Stop::Cut)),
        Fault::ResetAfter(n) => shape.stop = Some((*n, Stop::Reset)),
        Fault::StallAfter(n) => shape.stop = Some((*n, Stop::Stall)),
        Fault::FlipByte(offset) => shape.flips.push(*offset),
        Fault::ShortLength(n) => {
            reply.end = reply.end.saturating_sub(*n).max(reply.start);
            if let Some((_, _, total)) = content_range(reply) {
                let last = reply.end.saturating_sub(1);
                let total = total.saturating_sub(*n);
                reply.set("content-range", &format!("bytes {}-{last}/{total}", reply.start));
            }
        }
        Fault::LongBody(n) => shape.extra += n,
        Fault::CloseDelimited(n) => {
            shape.stop = Some((*n, Stop::End));
            shape.close_delimited = true;
        }
        Fault::Chunked => reply.chunked = true,
        Fault::Empty200 => *reply = Reply::new(200),
        Fault::Html200 => {
            let page = "<!DOCTYPE html><html><body><h1>Welcome to the hotel network</h1></body></html>\n";
            *reply = Reply::html(200, page);
        }
        Fault::Json200 => {
            *reply = error(true, 500, None, "Internal error, try again");
            reply.status = 200;
            reply.headers.remove("x-error-message");
        }
        Fault::IgnoreRange | Fault::Delay(_) | Fault::MoveRefOnHead | Fault::EndlessListing { .. } => {}
        Fault::Partial206 => {
            if reply.status == 200 && reply.end > reply.start {
                reply.status = 206;
                let size = reply.end;
                reply.set("content-range", &format!("bytes {}-{}/{size}", reply.start, size - 1));
            }
        }
        Fault::WrongContentRange => {
            if let Some((from, to, total)) = content_range(reply) {
                reply.set("content-range", &format!("bytes {}-{}/{total}", from + 1, to + 1));
            }
        }
        Fault::Status { code, error_code, message, retry_after, ratelimit } => {
            *reply = error(api, *code, error_code.as_deref(), message);
            if let Some(value) = retry_after {
                reply.set("retry-after", value);
            }
            if let Some(value) = ratelimit {
                reply.set("ratelimit", value);
            }
        }
        Fault::Slow { bytes_per_second } => shape.bytes_per_second = Some(*bytes_per_second),
        Fault::NoAnswer => shape.no_answer = true,
        Fault::ExpireUrl => *reply = crate::cdn::expired(),
        Fault::GzipEncoded => gzip_encode(reply),
        Fault::RedirectTo(location) => *reply = Reply::redirect(302, location),
        Fault::WrongEtag => {
            for name in ["etag", "x-linked-etag"] {
                let value = reply.headers.get(name).and_then(|value| value.to_str().ok());
                if let Some(value) = value {
                    let wrong: String = value.chars().map(other_digit).collect();
                    reply.set(name, &wrong);
                }
            }
        }
        Fault::WithoutHeader(name) => {
            if name.eq_ignore_ascii_case("content-length") {
                reply.chunked = true;
            }
            reply.headers.remove(name.as_str());
        }
        Fault::SetHeader { name, value } => reply.set(name, value),
    }
}

/// Replaces the body by its gzip form.
pub(crate) fn gzip_encode(reply: &mut Reply) {
    let len = reply.end - reply.start;
    if len <= GZIP_LIMIT {
        let wrapped = gzip::wrap(&reply.content.read_range(reply.start, len));
        reply.content = wrapped.into();
        (reply.start, reply.end) = (0, reply.content.size());
    }
    reply.set("content-encoding", "gzip");
}

fn content_range(reply: &Reply) -> Option<(u64, u64, u64)> {
    let value = reply.headers.get("content-range")?.to_str().ok()?.strip_prefix("bytes ")?;
    let (range, total) = value.split_once('/')?;
    let (from, to) = range.split_once('-')?;
    Some((from.parse().ok()?, to.parse().ok()?, total.parse().ok()?))
}

/// Another hex digit of the same kind, so that a wrong hash still looks like one.
fn other_digit(c: char) -> char {
    match c {
        '0'..='8' | 'a'..='e' => char::from(c as u8 + 1),
        '9' => '0',
        'f' => 'a',
        other => other,
    }
}
