//! Addresses as people write them: `wss://stream.example:9443/ws`.

use rustls::pki_types::ServerName;

/// Where to connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Name or literal address, without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// The name that the certificate must be for: the host unless told otherwise.
    pub server_name: ServerName<'static>,
    /// Whether TLS is spoken.
    pub tls: bool,
    /// Path and query, beginning with `/`.
    pub path: String,
}

/// Why a text is not an address. The text itself is shown only where it can't hold a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// No known scheme.
    #[error("address '{0}' must begin with wss://, ws://, https:// or http://")]
    Scheme(String),
    /// A user name or password.
    #[error("an address must not hold a user name or password (found '@' before the path)")]
    UserInfo,
    /// Not a name or a literal address.
    #[error("'{0}' is neither a host name nor an IP address (write IPv6 as [::1])")]
    Host(String),
    /// Not a port.
    #[error("port '{0}' is not a number from 1 to 65535")]
    Port(String),
    /// Blanks, control characters or a fragment.
    #[error("the path of address '{0}' holds a blank, a control or non-ASCII character, or '#'")]
    Path(String),
}

impl Endpoint {
    /// Reads `scheme://host[:port][/path][?query]`.
    pub fn parse(text: &str) -> Result<Self, EndpointError> {
        let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
        let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        if authority.contains('@') {
            return Err(EndpointError::UserInfo);
        }
        let (tls, default_port) = match scheme {
            "wss" | "https" => (true, 443),
            "ws" | "http" => (false, 80),
            _ => return Err(EndpointError::Scheme(text.to_owned())),
        };
        let (host, port) = split_port(authority)?;
        let port = match port {
            None => default_port,
            Some(digits) => parse_port(digits)?,
        };
        let server_name = ServerName::try_from(host.to_owned()).map_err(|_| host_error(authority))?;
        if !path.bytes().all(|b| b.is_ascii_graphic() && b != b'#') {
            return Err(EndpointError::Path(text.to_owned()));
        }
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        Ok(Self { host: host.to_owned(), port, server_name, tls, path })
    }

    /// The same address with another path and query.
    pub fn with_path(&self, path: &str) -> Result<Self, EndpointError> {
        if !path.starts_with('/') || !path.bytes().all(|b| b.is_ascii_graphic() && b != b'#') {
            return Err(EndpointError::Path(path.to_owned()));
        }
        Ok(Self { path: path.to_owned(), ..self.clone() })
    }

    /// The value of a `Host` header: with the port only when it isn't the scheme's own.
    pub fn host_header(&self) -> String {
        let host = self.bracketed_host();
        if self.port == if self.tls { 443 } else { 80 } { host } else { format!("{host}:{}", self.port) }
    }

    pub(super) fn bracketed_host(&self) -> String {
        if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() }
    }
}

impl core::fmt::Display for Endpoint {
    /// Host and port: what an error should name. Paths may hold keys.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}:{}", self.bracketed_host(), self.port)
    }
}

fn host_error(authority: &str) -> EndpointError {
    EndpointError::Host(authority.to_owned())
}

fn split_port(authority: &str) -> Result<(&str, Option<&str>), EndpointError> {
    if let Some(literal) = authority.strip_prefix('[') {
        let (host, after) = literal.split_once(']').ok_or_else(|| host_error(authority))?;
        if host.parse::<std::net::Ipv6Addr>().is_err() {
            return Err(host_error(authority));
        }
        return match after.strip_prefix(':') {
            Some(port) => Ok((host, Some(port))),
            None if after.is_empty() => Ok((host, None)),
            None => Err(host_error(authority)),
        };
    }
    match authority.split_once(':') {
        Some((_, port)) if port.contains(':') => Err(host_error(authority)),
        Some((host, port)) => Ok((host, Some(port))),
        None => Ok((authority, None)),
    }
}

fn parse_port(digits: &str) -> Result<u16, EndpointError> {
    let is_digits = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    match digits.parse() {
        Ok(port) if is_digits && port != 0 => Ok(port),
        _ => Err(EndpointError::Port(digits.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        for (text, host, port, tls, path, header) in [
            (
                "wss://stream.binance.com:9443/ws",
                "stream.binance.com",
                9443,
                true,
                "/ws",
                "stream.binance.com:9443",
            ),
            ("wss://ws.kraken.com/v2", "ws.kraken.com", 443, true, "/v2", "ws.kraken.com"),
            ("ws://127.0.0.1:80", "127.0.0.1", 80, false, "/", "127.0.0.1"),
            ("https://[::1]:8443?a=b", "::1", 8443, true, "/?a=b", "[::1]:8443"),
            ("http://localhost", "localhost", 80, false, "/", "localhost"),
            ("wss://h/stream?streams=a@b/c@d", "h", 443, true, "/stream?streams=a@b/c@d", "h"),
        ] {
            let endpoint = Endpoint::parse(text).unwrap();
            assert_eq!((endpoint.host.as_str(), endpoint.port, endpoint.tls), (host, port, tls), "{text}");
            assert_eq!((endpoint.path.as_str(), endpoint.host_header().as_str()), (path, header), "{text}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused_with_its_place() {
        for (text, part) in [
            ("stream.binance.com", "must begin with"),
            ("ftp://x", "must begin with"),
            ("wss://u:secret@h/", "user name"),
            ("wss:///ws", "neither"),
            ("wss://a b/", "neither"),
            ("wss://::1/", "neither"),
            ("wss://[::1/", "neither"),
            ("wss://[::g]/", "neither"),
            ("wss://h:0/", "port '0'"),
            ("wss://h:65536/", "port '65536'"),
            ("wss://h:+1/", "port '+1'"),
            ("wss://h:/", "port ''"),
            ("wss://h/a b", "path"),
            ("wss://h/a\r\nX: y", "path"),
            ("wss://h/#f", "path"),
        ] {
            let error = Endpoint::parse(text).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
