//! From a host to addresses without blocking: literal addresses and `localhost` at once, names on a helper thread, since the
//! system's resolver only has a blocking call.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs as _};
use std::sync::{Arc, OnceLock};

/// Addresses of one host that are tried.
const ADDRESSES_MAX: usize = 8;

/// The answer, once it is there.
pub(super) type Answer = Result<Vec<SocketAddr>, String>;

/// A lookup that is under way or done. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Lookup(Arc<OnceLock<Answer>>);

impl Lookup {
    /// Starts a lookup; never blocks.
    pub(super) fn start(host: &str, port: u16) -> Self {
        let lookup = Self::default();
        if let Some(addresses) = resolve_literal(host, port) {
            lookup.settle(Ok(addresses));
            return lookup;
        }
        let (helper, name) = (lookup.clone(), host.to_owned());
        #[expect(
            clippy::disallowed_methods,
            reason = "net may not name agent; the thread is named, cold and ends itself"
        )]
        let started = std::thread::Builder::new()
            .name("resolver".to_owned())
            .spawn(move || helper.settle(resolve_blocking(&name, port)));
        if let Err(error) = started {
            lookup.settle(Err(format!("no thread for looking up '{host}': {error}")));
        }
        lookup
    }

    /// The answer, when it is there.
    pub(super) fn answer(&self) -> Option<&Answer> {
        self.0.get()
    }

    fn settle(&self, answer: Answer) {
        // Only one party settles a lookup: whoever started it, or its thread.
        let _is_first = self.0.set(answer).is_ok();
    }
}

fn resolve_literal(host: &str, port: u16) -> Option<Vec<SocketAddr>> {
    if host.eq_ignore_ascii_case("localhost") {
        let loopbacks = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
        return Some(loopbacks.into_iter().map(|ip| SocketAddr::new(ip, port)).collect());
    }
    host.parse::<IpAddr>().ok().map(|ip| vec![SocketAddr::new(ip, port)])
}

fn resolve_blocking(host: &str, port: u16) -> Answer {
    match (host, port).to_socket_addrs() {
        Ok(addresses) => {
            let addresses: Vec<SocketAddr> = addresses.take(ADDRESSES_MAX).collect();
            if addresses.is_empty() { Err(format!("host '{host}' has no address")) } else { Ok(addresses) }
        }
        Err(error) => {
            Err(format!("host '{host}' can't be resolved: {error}; check its spelling and this host's DNS"))
        }
    }
}
