//! The clients of the object store, as the settings describe it; credentials as AWS tools find them.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3, AmazonS3Builder, Checksum};
use object_store::path::Path;
use object_store::{BackoffConfig, Certificate, ClientOptions, RetryConfig};
use url::Url;

use super::{Error, Inner, ObjectStore, Result};
use crate::config;
use crate::domain::Clock;

/// Nothing received for this long: another try, and then the next source. Clients wait for 10 s.
const SILENCE: Duration = Duration::from_secs(4);
const CONNECT: Duration = Duration::from_secs(5);
/// Tries of one call after the first, and for how long.
const READ_RETRIES: usize = 1;
const WRITE_RETRIES: usize = 2;
const RETRY_FOR: Duration = Duration::from_secs(10);
const REGION: &str = "us-east-1";

impl ObjectStore {
    /// `None` if no object store is set. Asks nobody.
    pub fn open(config: &config::Object, clock: &Clock) -> Result<Option<Self>> {
        let Some((bucket, prefix)) = config.place() else { return Ok(None) };
        let endpoint = if config.endpoint.is_empty() {
            // As AWS tools are told.
            env("AWS_ENDPOINT_URL_S3").or_else(|| env("AWS_ENDPOINT_URL")).unwrap_or_default()
        } else {
            config.endpoint.clone()
        };
        // It is shown wherever the object store is named.
        if Url::parse(&endpoint).is_ok_and(|url| url.password().is_some() || !url.username().is_empty()) {
            return Err(Error::Refused("the address of the object store holds credentials (AWS_ENDPOINT_URL)".into()));
        }
        let build = |options, retries| build(config, &bucket, &endpoint, options, retries);
        let at = if endpoint.is_empty() { String::new() } else { format!(" at {}", endpoint.trim_end_matches('/')) };
        Ok(Some(Self(Arc::new(Inner {
            reads: build(options(config)?.with_read_timeout(SILENCE), READ_RETRIES)?,
            writes: build(options(config)?.with_read_timeout_disabled(), WRITE_RETRIES)?,
            prefix: Path::parse(&prefix).map_err(|error| Error::Refused(format!("object.url: {error}")))?,
            name: format!("{}{at}", config.url.trim_end_matches('/')),
            clock: clock.clone(),
        }))))
    }
}

fn options(config: &config::Object) -> Result<ClientOptions> {
    let mut options = ClientOptions::new().with_allow_http(true).with_connect_timeout(CONNECT).with_timeout_disabled();
    if !config.ca_file.as_os_str().is_empty() {
        let failed = |error: String| Error::Refused(format!("object.ca_file: {}: {error}", config.ca_file.display()));
        let pem = std::fs::read(&config.ca_file).map_err(|error| failed(error.to_string()))?;
        for certificate in Certificate::from_pem_bundle(&pem).map_err(|error| failed(error.to_string()))? {
            options = options.with_root_certificate(certificate);
        }
    }
    Ok(options)
}

fn build(
    config: &config::Object,
    bucket: &str,
    endpoint: &str,
    options: ClientOptions,
    max_retries: usize,
) -> Result<AmazonS3> {
    let retry = RetryConfig {
        backoff: BackoffConfig {
            init_backoff: Duration::from_millis(100),
            max_backoff: Duration::from_secs(2),
            base: 3.,
        },
        max_retries,
        retry_timeout: RETRY_FOR,
    };
    // The environment first: keys, web identity, container, region.
    let mut builder = AmazonS3Builder::from_env()
        .with_bucket_name(bucket)
        .with_client_options(options)
        .with_retry(retry)
        .with_checksum_algorithm(Checksum::SHA256)
        .with_virtual_hosted_style_request(!config.path_style);
    if !config.region.is_empty() {
        builder = builder.with_region(&config.region);
    } else if env("AWS_REGION").or_else(|| env("AWS_DEFAULT_REGION")).is_none() {
        builder = builder.with_region(REGION);
    }
    if !endpoint.is_empty() {
        builder = builder.with_endpoint(at_bucket(endpoint, bucket, config.path_style)?);
    }
    match (config.secret_access_key.get(), Profile::read()) {
        (Some(secret), _) => {
            builder = builder.with_access_key_id(&config.access_key_id).with_secret_access_key(secret);
        }
        // Keys of the environment come before those of a profile, unless one is named.
        (None, Some(profile)) if env("AWS_ACCESS_KEY_ID").is_none() || env("AWS_PROFILE").is_some() => {
            builder = builder.with_access_key_id(profile.id).with_secret_access_key(profile.secret);
            if let Some(token) = profile.token {
                builder = builder.with_token(token);
            }
        }
        _ => {}
    }
    Ok(builder.build()?)
}

/// The address that requests go to: that of the bucket, unless that is in their path.
fn at_bucket(endpoint: &str, bucket: &str, path_style: bool) -> Result<String> {
    if path_style {
        return Ok(endpoint.to_owned());
    }
    let wrong = || Error::Refused(format!("object.endpoint: `{endpoint}` is not an address of a web server"));
    let mut url = Url::parse(endpoint).map_err(|_| wrong())?;
    let host = format!("{bucket}.{}", url.host_str().ok_or_else(wrong)?);
    url.set_host(Some(&host)).map_err(|_| wrong())?;
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

/// The keys of a profile, in the file that AWS tools keep them in.
#[derive(Debug, PartialEq, Eq)]
struct Profile {
    id: String,
    secret: String,
    token: Option<String>,
}

impl Profile {
    fn read() -> Option<Self> {
        let home = || Some(PathBuf::from(env("HOME")?).join(".aws/credentials"));
        let path = env("AWS_SHARED_CREDENTIALS_FILE").map(PathBuf::from).or_else(home)?;
        let text = std::fs::read_to_string(path).ok()?;
        Self::of(&text, &env("AWS_PROFILE").unwrap_or_else(|| "default".into()))
    }

    fn of(text: &str, name: &str) -> Option<Self> {
        let head = format!("[{name}]");
        let lines = text.lines().map(str::trim).skip_while(|line| *line != head).skip(1);
        let pairs: Vec<(&str, &str)> = lines
            .take_while(|line| !line.starts_with('['))
            .filter(|line| !line.starts_with('#'))
            .filter_map(|line| line.split_once('='))
            .map(|(key, value)| (key.trim(), value.trim()))
            .collect();
        let value = |key: &str| pairs.iter().find(|(name, _)| *name == key).map(|(_, value)| (*value).to_owned());
        let (id, secret) = (value("aws_access_key_id")?, value("aws_secret_access_key")?);
        Some(Self { id, secret, token: value("aws_session_token") })
    }
}

/// A variable that AWS tools know.
fn env(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_is_a_section_of_the_file() {
        let text = "[default]\naws_access_key_id = a\n# no\naws_secret_access_key=b\n\n[other]\naws_access_key_id=c\n\
            aws_secret_access_key=d=\naws_session_token = e\n[half]\naws_access_key_id=f\n";
        let profile = |name| Profile::of(text, name);
        assert_eq!(profile("default"), Some(Profile { id: "a".into(), secret: "b".into(), token: None }));
        assert_eq!(profile("other"), Some(Profile { id: "c".into(), secret: "d=".into(), token: Some("e".into()) }));
        assert_eq!((profile("half"), profile("none")), (None, None));
    }

    #[test]
    fn a_bucket_is_in_the_path_or_in_the_host() {
        let at = |endpoint, style| at_bucket(endpoint, "models", style).unwrap();
        assert_eq!(at("http://127.0.0.1:3900", true), "http://127.0.0.1:3900");
        assert_eq!(at("https://s3.example.com/", false), "https://models.s3.example.com");
    }
}
