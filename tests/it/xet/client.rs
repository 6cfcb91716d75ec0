//! A small Xet client, written from the public Xet specification and from what hf_xet and
//! huggingface.js do. It checks every rule of the protocol on its way, so that each test that
//! downloads with it is a check of the specification.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use serde_json::Value;

use crate::harness::{Client, Reply, TestHub};

/// The most that a chunk may hold.
pub(super) const CHUNK: u64 = 128 * 1024;
/// Where clients expect the store: `casUrl`.
const PREFIX: &str = "/xet";

/// What the token route hands out.
#[derive(Debug, Clone)]
pub(super) struct Grant {
    pub(super) cas: String,
    pub(super) token: String,
    /// Seconds since 1970.
    pub(super) expires: i64,
}

/// A term of a reconstruction, with where its bytes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Term {
    pub(super) xorb: String,
    pub(super) unpacked: u64,
    pub(super) chunks: Range<u64>,
    pub(super) url: String,
    /// Half-open.
    pub(super) bytes: Range<u64>,
}

#[derive(Debug)]
pub(super) struct Recipe {
    /// Bytes of the first term that precede the range.
    pub(super) offset: u64,
    pub(super) terms: Vec<Term>,
}

/// One client at one hub. Requests come from the address that `http` is bound to.
#[derive(Clone)]
pub(super) struct Xet {
    pub(super) http: Client,
    pub(super) base: String,
}

impl From<&TestHub> for Xet {
    fn from(hub: &TestHub) -> Self {
        Self { http: hub.client.clone(), base: hub.url().to_owned() }
    }
}

impl Xet {
    /// The token route of a repository (`models/org/name`) at a revision, as anybody may get it.
    pub(super) async fn ask_token(&self, repo: &str, revision: &str, hf_token: Option<&str>) -> Reply {
        let bearer = hf_token.map(|token| format!("Bearer {token}"));
        let headers: Vec<_> = bearer.iter().map(|bearer| ("authorization", bearer.as_str())).collect();
        let url = format!("{}/api/{repo}/xet-read-token/{revision}", self.base);
        self.http.call("GET", &url, &headers, "").await
    }

    pub(super) async fn token(&self, repo: &str, hf_token: Option<&str>) -> Grant {
        let reply = self.ask_token(repo, "main", hf_token).await;
        assert_eq!(reply.status, 200, "{repo} {hf_token:?} {}", reply.text());
        let json = reply.json();
        // Python reads the headers, hf_xet and JavaScript the body.
        assert_eq!(json["casUrl"], reply.header("x-xet-cas-url"));
        assert_eq!(json["accessToken"], reply.header("x-xet-access-token"));
        assert_eq!(json["exp"].to_string(), reply.header("x-xet-token-expiration"));
        assert_eq!(json["casUrl"], format!("{}{PREFIX}", self.base));
        Grant {
            cas: json["casUrl"].as_str().unwrap().to_owned(),
            token: json["accessToken"].as_str().unwrap().to_owned(),
            expires: json["exp"].as_i64().unwrap(),
        }
    }

    pub(super) async fn ask_recipe(&self, grant: &Grant, version: u8, file: &str, range: Option<&str>) -> Reply {
        let bearer = format!("Bearer {}", grant.token);
        let mut headers = vec![("authorization", bearer.as_str())];
        headers.extend(range.map(|range| ("range", range)));
        self.http.call("GET", &format!("{}/v{version}/reconstructions/{file}", grant.cas), &headers, "").await
    }

    pub(super) async fn recipe(&self, grant: &Grant, version: u8, file: &str, range: Option<&str>) -> Recipe {
        let reply = self.ask_recipe(grant, version, file, range).await;
        assert_eq!(reply.status, 200, "{range:?} {:?}", reply.error());
        assert!(reply.broken.is_none() && reply.header("content-type").starts_with("application/json"));
        Recipe::read(&reply.json(), version, &self.base)
    }

    /// GET of a xorb's bytes as a recipe says, without any authorisation.
    pub(super) async fn ask_xorb(&self, url: &str, range: Option<&str>) -> Reply {
        let headers: Vec<_> = range.iter().map(|range| ("range", *range)).collect();
        self.http.call("GET", url, &headers, "").await
    }

    /// The bytes of one term.
    pub(super) async fn term(&self, term: &Term) -> Vec<u8> {
        let reply = self.ask_xorb(&term.url, Some(&term.range())).await;
        assert_part(&reply, &term.bytes);
        term.unpack(&reply.body)
    }

    /// All of a file, or of the half-open part of it that is asked for, by a recipe of this version.
    pub(super) async fn get(&self, grant: &Grant, version: u8, file: &str, part: Range<u64>) -> Vec<u8> {
        let range = format!("bytes={}-{}", part.start, part.end - 1);
        let recipe = self.recipe(grant, version, file, Some(&range)).await;
        self.assemble(&recipe, part.end - part.start).await
    }

    /// What a client makes of a recipe for so many bytes.
    pub(super) async fn assemble(&self, recipe: &Recipe, size: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        for term in &recipe.terms {
            bytes.extend(self.term(term).await);
        }
        bytes.drain(..recipe.offset as usize);
        assert!(bytes.len() as u64 >= size, "{} bytes of {size}", bytes.len());
        bytes.truncate(size as usize);
        bytes
    }
}

impl Recipe {
    /// Reads a reconstruction of either form, and checks what must hold of any.
    pub(super) fn read(json: &Value, version: u8, base: &str) -> Self {
        let (offset, places, other) = match version {
            1 => ("offset_into_first_range", "fetch_info", "xorbs"),
            _ => ("offset_into_first_range", "xorbs", "fetch_info"),
        };
        assert!(json.get(other).is_none(), "`{other}` is of the other form");
        let places: HashMap<String, Vec<Place>> = json[places]
            .as_object()
            .unwrap()
            .iter()
            .map(|(xorb, places)| {
                let places = places.as_array().unwrap().iter();
                (xorb.clone(), places.flat_map(|place| Place::read(place, version)).collect())
            })
            .collect();
        let mut urls = HashSet::new();
        for (xorb, places) in &places {
            for place in places {
                assert!(place.url.starts_with(&format!("{base}{PREFIX}/v1/xorbs/default/{xorb}?")), "{}", place.url);
                assert!(urls.insert(place.url.clone()), "a URL twice: {}", place.url);
            }
        }
        let read = |term: &Value| {
            let xorb = term["hash"].as_str().unwrap().to_owned();
            assert!(is_hash(&xorb), "{xorb}");
            let chunks = span(&term["range"]);
            let around: Vec<_> = places
                .get(&xorb)
                .unwrap_or_else(|| panic!("nothing says where {xorb} is"))
                .iter()
                .filter(|place| place.chunks.start <= chunks.start && chunks.end <= place.chunks.end)
                .collect();
            let [place] = around[..] else { panic!("{} places for chunks {chunks:?} of {xorb}", around.len()) };
            // Ours are never wider than the term; `unpack` counts on it.
            assert_eq!(place.chunks, chunks);
            let unpacked = term["unpacked_length"].as_u64().unwrap();
            assert!(unpacked > 0 && unpacked <= (chunks.end - chunks.start) * CHUNK);
            Term { xorb, unpacked, chunks, url: place.url.clone(), bytes: place.bytes.clone() }
        };
        let terms: Vec<Term> = json["terms"].as_array().unwrap().iter().map(read).collect();
        let used: HashSet<_> = terms.iter().map(|term| &term.xorb).collect();
        assert_eq!(used.len(), places.len(), "places that no term needs");
        Self { offset: json[offset].as_u64().unwrap(), terms }
    }

    pub(super) fn unpacked(&self) -> u64 {
        self.terms.iter().map(|term| term.unpacked).sum()
    }

    pub(super) fn xorbs(&self) -> Vec<String> {
        self.terms.iter().map(|term| term.xorb.clone()).collect()
    }
}

impl Term {
    /// As it is to be sent: ends of bytes are inclusive.
    pub(super) fn range(&self) -> String {
        format!("bytes={}-{}", self.bytes.start, self.bytes.end - 1)
    }

    /// The file's bytes in these serialised chunks.
    pub(super) fn unpack(&self, serialised: &[u8]) -> Vec<u8> {
        let chunks = unpack(serialised);
        assert_eq!(chunks.len() as u64, self.chunks.end - self.chunks.start, "the number of chunks");
        let bytes = chunks.concat();
        assert_eq!(bytes.len() as u64, self.unpacked, "unpacked_length");
        bytes
    }
}

/// The chunks of a serialised run of them, each with its header checked.
pub(super) fn unpack(mut serialised: &[u8]) -> Vec<Vec<u8>> {
    let mut chunks = Vec::new();
    while !serialised.is_empty() {
        let (header, rest) = serialised.split_at(8);
        let length = |bytes: &[u8]| u32::from_le_bytes([bytes[0], bytes[1], bytes[2], 0]);
        assert_eq!((header[0], header[4]), (0, 0), "version and compression scheme");
        let (stored, unpacked) = (length(&header[1..4]), length(&header[5..8]));
        assert_eq!(stored, unpacked, "uncompressed chunks are as long as what they hold");
        assert!(unpacked > 0 && u64::from(unpacked) <= CHUNK, "a chunk of {unpacked} bytes");
        let (data, rest) = rest.split_at(stored as usize);
        chunks.push(data.to_vec());
        serialised = rest;
    }
    chunks
}

/// Chunks and where they stand in the serialised xorb.
struct Place {
    url: String,
    chunks: Range<u64>,
    bytes: Range<u64>,
}

impl Place {
    fn read(value: &Value, version: u8) -> Vec<Self> {
        let url = value["url"].as_str().unwrap();
        let place = |chunks: &Value, bytes: &Value| {
            let inclusive = span(bytes);
            Self { url: url.to_owned(), chunks: span(chunks), bytes: inclusive.start..inclusive.end + 1 }
        };
        match version {
            1 => vec![place(&value["range"], &value["url_range"])],
            _ => value["ranges"].as_array().unwrap().iter().map(|r| place(&r["chunks"], &r["bytes"])).collect(),
        }
    }
}

fn span(value: &Value) -> Range<u64> {
    let span = value["start"].as_u64().unwrap()..value["end"].as_u64().unwrap();
    assert!(span.start < span.end || span.start == span.end && span.end > 0, "{value}");
    span
}

pub(super) fn is_hash(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

/// One range of a xorb, exactly as it was asked for.
#[track_caller]
pub(super) fn assert_part(reply: &Reply, bytes: &Range<u64>) {
    assert_eq!((reply.status, &reply.broken), (206, &None), "{:?}", reply.error());
    assert_eq!(reply.header("content-range"), format!("bytes {}-{}/*", bytes.start, bytes.end - 1));
    let length = bytes.end - bytes.start;
    assert_eq!(reply.header("content-length"), length.to_string());
    assert_eq!(reply.body.len() as u64, length);
    assert_eq!(reply.header("content-type"), "application/octet-stream");
}

/// The parts of `multipart/byteranges`: what `Content-Range` says, and the bytes.
pub(super) fn parts(reply: &Reply) -> Vec<(String, Vec<u8>)> {
    assert_eq!(reply.status, 206, "{:?}", reply.error());
    let kind = reply.header("content-type");
    let boundary = kind.strip_prefix("multipart/byteranges; boundary=").unwrap_or_else(|| panic!("{kind}"));
    let delimiter = format!("--{boundary}").into_bytes();
    let mut rest = &reply.body[..];
    let mut parts = Vec::new();
    loop {
        rest = rest.strip_prefix(&delimiter[..]).expect("a part begins with the boundary");
        if rest.starts_with(b"--") {
            assert_eq!(rest, b"--\r\n", "nothing follows the last boundary");
            return parts;
        }
        rest = rest.strip_prefix(b"\r\n").unwrap();
        let end = rest.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
        let head = String::from_utf8(rest[..end].to_vec()).unwrap();
        let field =
            |name: &str| head.lines().find_map(|line| line.strip_prefix(&format!("{name}: "))).map(str::to_owned);
        assert_eq!(field("Content-Type").as_deref(), Some("application/octet-stream"));
        let range = field("Content-Range").expect("Content-Range in each part");
        let (first, last) = range.strip_prefix("bytes ").unwrap().strip_suffix("/*").unwrap().split_once('-').unwrap();
        let length = last.parse::<usize>().unwrap() + 1 - first.parse::<usize>().unwrap();
        let body = &rest[end + 4..];
        parts.push((range, body[..length].to_vec()));
        rest = body[length..].strip_prefix(b"\r\n").expect("a line's end after a part");
    }
}
