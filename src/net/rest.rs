//! REST for the cold threads: blocking, bounded in time and size, and without opinions. A status is an answer, not an error;
//! nothing is retried and no redirect is followed (a retry could be a second order, a redirect could carry an API key away).

use std::sync::Arc;
use std::time::Duration;

use ureq::http::Request;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use super::endpoint::Endpoint;
use super::tls::{self, TlsRoots};
use crate::limits;
use crate::types::Reason;

/// HTTP methods that venues use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Read.
    Get,
    /// Create.
    Post,
    /// Change.
    Put,
    /// Cancel.
    Delete,
}

/// How long a request may take.
#[derive(Clone, Copy, Debug)]
pub struct RestTimeouts {
    /// For name, connection and TLS.
    pub connect: Duration,
    /// For all of it, with the body.
    pub total: Duration,
}

impl Default for RestTimeouts {
    fn default() -> Self {
        Self { connect: Duration::from_secs(5), total: Duration::from_secs(15) }
    }
}

/// An answer, whatever its status.
#[derive(Clone, Debug)]
pub struct RestAnswer {
    /// HTTP status.
    pub status: u16,
    /// Header names in lower case, with their values.
    pub headers: Vec<(String, String)>,
    /// The body, owned: a parser may work in place.
    pub body: Vec<u8>,
}

impl RestAnswer {
    /// The first value of a header; the name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// `Retry-After` in seconds: comes with 429 and 418.
    pub fn retry_after_s(&self) -> Option<u32> {
        self.header("retry-after")?.trim().parse().ok()
    }

    /// Whether the status is one of success.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{method:?} {place}: {text}")]
pub struct RestError {
    /// The reason code.
    pub reason: Reason,
    /// Whether the request can have reached the venue: then its outcome is unknown, not failed.
    pub may_have_arrived: bool,
    method: Method,
    /// Host, port and path. Never the query: it holds signatures.
    place: String,
    text: String,
}

/// A client for one host.
#[derive(Clone, Debug)]
pub struct Rest {
    agent: ureq::Agent,
    endpoint: Arc<Endpoint>,
    origin: String,
}

impl Rest {
    /// For `endpoint`; its own path is not used.
    pub fn new(endpoint: Endpoint, roots: &TlsRoots, timeouts: RestTimeouts) -> Self {
        let root_certs = match roots {
            TlsRoots::WebPki => RootCerts::WebPki,
            TlsRoots::Pinned(certificates) => RootCerts::Specific(Arc::new(
                certificates.iter().map(|c| Certificate::from_der(c).to_owned()).collect(),
            )),
        };
        let tls_config = TlsConfig::builder()
            .root_certs(root_certs)
            .unversioned_rustls_crypto_provider(tls::provider())
            .build();
        let agent = ureq::Agent::config_builder()
            .tls_config(tls_config)
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .proxy(None)
            .timeout_connect(Some(timeouts.connect))
            .timeout_resolve(Some(timeouts.connect))
            .timeout_global(Some(timeouts.total))
            .max_response_header_size(limits::HTTP_HEAD_BYTES_MAX)
            .user_agent(concat!("interlock/", env!("CARGO_PKG_VERSION")))
            .build()
            .new_agent();
        let scheme = if endpoint.tls { "https" } else { "http" };
        let origin = format!("{scheme}://{}:{}", endpoint.bracketed_host(), endpoint.port);
        Self { agent, endpoint: Arc::new(endpoint), origin }
    }

    /// Whom it talks to.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Reads `path_and_query`, which begins with `/`.
    pub fn get(&self, path_and_query: &str, headers: &[(&str, &str)]) -> Result<RestAnswer, RestError> {
        self.request(Method::Get, path_and_query, headers, b"")
    }

    /// Sends one request, once.
    pub fn request(
        &self,
        method: Method,
        path_and_query: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<RestAnswer, RestError> {
        let fail = |error: &ureq::Error| self.error(method, path_and_query, error);
        let mut request = Request::builder()
            .method(match method {
                Method::Get => "GET",
                Method::Post => "POST",
                Method::Put => "PUT",
                Method::Delete => "DELETE",
            })
            .uri(format!("{}{path_and_query}", self.origin));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let sent = if body.is_empty() && matches!(method, Method::Get | Method::Delete) {
            request.body(()).map_err(ureq::Error::Http).and_then(|request| self.agent.run(request))
        } else {
            request.body(body).map_err(ureq::Error::Http).and_then(|request| self.agent.run(request))
        };
        let mut response = sent.map_err(|error| fail(&error))?;
        let status = response.status().as_u16();
        let headers = response
            .headers()
            .iter()
            .map(|(name, value)| {
                (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
            })
            .collect();
        let body = response
            .body_mut()
            .with_config()
            .limit(limits::REST_BODY_BYTES_MAX as u64)
            .read_to_vec()
            .map_err(|error| fail(&error))?;
        Ok(RestAnswer { status, headers, body })
    }

    #[cold]
    fn error(&self, method: Method, path_and_query: &str, error: &ureq::Error) -> RestError {
        let path = path_and_query.split('?').next().unwrap_or_default();
        let (reason, may_have_arrived, text) = explain(error);
        RestError { reason, may_have_arrived, method, place: format!("{}{path}", self.endpoint), text }
    }
}

/// Reason, whether the request can have arrived, and what happened in words.
fn explain(error: &ureq::Error) -> (Reason, bool, String) {
    use ureq::{Error, Timeout};
    match error {
        Error::HostNotFound => (
            Reason::Unreachable,
            false,
            "the host can't be resolved; check its spelling and this host's DNS".to_owned(),
        ),
        Error::ConnectionFailed => (
            Reason::Unreachable,
            false,
            "nobody takes the connection; is the venue up, and the port right?".to_owned(),
        ),
        Error::Timeout(Timeout::Resolve | Timeout::Connect) => {
            (Reason::Unreachable, false, "no connection in time".to_owned())
        }
        Error::Timeout(what) => (Reason::Timeout, true, format!("no answer in time ({what})")),
        Error::Rustls(error) => (Reason::Tls, false, tls::explain(error)),
        Error::Tls(text) => (Reason::Tls, false, (*text).to_owned()),
        Error::BadUri(_) | Error::Http(_) => {
            (Reason::Malformed, false, "the request's path or a header is malformed".to_owned())
        }
        Error::BodyExceedsLimit(limit) => {
            (Reason::Malformed, true, format!("the answer is over the bound of {limit} bytes"))
        }
        Error::Io(error) => explain_io(error),
        Error::Protocol(error) => {
            (Reason::Malformed, true, format!("the answer is not HTTP as it should be: {error}"))
        }
        other => (Reason::ConnectionLost, true, other.to_string()),
    }
}

fn explain_io(error: &std::io::Error) -> (Reason, bool, String) {
    if let Some(inner) = error.get_ref() {
        if let Some(error) = inner.downcast_ref::<rustls::Error>() {
            // Certificates are judged before a request is written.
            let is_certificate = matches!(error, rustls::Error::InvalidCertificate(_));
            return (Reason::Tls, !is_certificate, tls::explain(error));
        }
        if let Some(error) = inner.downcast_ref::<ureq::Error>() {
            return explain(error);
        }
    }
    match error.kind() {
        std::io::ErrorKind::ConnectionRefused => {
            (Reason::Unreachable, false, format!("{error}; is the venue up, and the port right?"))
        }
        std::io::ErrorKind::HostUnreachable | std::io::ErrorKind::NetworkUnreachable => {
            (Reason::Unreachable, false, error.to_string())
        }
        _ => (Reason::ConnectionLost, true, error.to_string()),
    }
}
