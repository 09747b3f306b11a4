//! The real edge: sockets and TLS. Nothing here knows what a venue says.
//!
//! - [`TcpConnector`] opens [`TcpLink`]s: non-blocking TCP by `mio`, plain or under `rustls`.
//! - [`Rest`] is the blocking HTTP client of the cold threads.
//! - [`TlsRoots`] says who is trusted; both use the same.
//!
//! What it refuses: an ambient crypto provider, trust or proxy (everything is passed in), redirects (an API key must not
//! follow one), user names in addresses, and the wall clock outside of certificate checks: deadlines are arguments.

mod endpoint;
mod resolve;
mod rest;
mod tcp;
mod tls;

pub use endpoint::{Endpoint, EndpointError};
pub use rest::{Method, Rest, RestAnswer, RestError, RestTimeouts};
pub use tcp::{TcpConnector, TcpLink, TcpTimeouts};
pub use tls::{TlsRoots, TlsRootsError, client_config};
