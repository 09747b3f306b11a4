//! Where orders may go: addresses that were found fit for a mode, as types with private fields. The wiring of a door to a venue
//! takes one of these and nothing else, so that no mode can be talked into another's venue.
//!
//! An address belongs to a realm by a table of names; one that isn't in it belongs nowhere, and takes no order. All three
//! addresses (REST, streams, orders) must be of one realm: data from one venue and orders to another is a mistake.

use std::net::{IpAddr, Ipv6Addr};

use crate::net::Endpoint;
use crate::sim::server::Persona;

use super::access::{Access, AccessError};
use super::live::Cleared;
use super::plan::Mode;

/// To whom an address belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Realm {
    /// The embedded venue of the demo, on this machine.
    Demo,
    /// A test network: real protocol, play money.
    Testnet,
    /// The real venue.
    Live,
    /// A real venue's market data, without orders.
    Data,
    /// Not in the table.
    Unknown,
}

impl Realm {
    /// For people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Demo => "the demo's embedded venue",
            Self::Testnet => "a test network",
            Self::Live => "the live venue",
            Self::Data => "market data only",
            Self::Unknown => "unknown",
        }
    }

    /// Of a host.
    pub fn of_host(host: &str) -> Self {
        if let Ok(ip) = host.parse::<IpAddr>() {
            return Self::of_address(ip);
        }
        let known = HOSTS.iter().find(|(name, _)| host.eq_ignore_ascii_case(name));
        known.map_or(Self::Unknown, |(_, realm)| *realm)
    }

    fn of_address(ip: IpAddr) -> Self {
        if ip == IpAddr::V6(Ipv6Addr::LOCALHOST) {
            return Self::Demo;
        }
        match Persona::ALL.into_iter().find(|p| ip == IpAddr::V4(p.address())) {
            Some(Persona::Demo) => Self::Demo,
            Some(Persona::Testnet) => Self::Testnet,
            Some(Persona::Live) => Self::Live,
            None => Self::Unknown,
        }
    }
}

/// The names that are known. `127.0.0.1`, `.2` and `.3` are the embedded venue's personas.
pub const HOSTS: &[(&str, Realm)] = &[
    ("localhost", Realm::Demo),
    ("testnet.binance.vision", Realm::Testnet),
    ("ws-api.testnet.binance.vision", Realm::Testnet),
    ("stream.testnet.binance.vision", Realm::Testnet),
    ("demo-api.binance.com", Realm::Testnet),
    ("demo-ws-api.binance.com", Realm::Testnet),
    ("demo-stream.binance.com", Realm::Testnet),
    ("api.binance.com", Realm::Live),
    ("api-gcp.binance.com", Realm::Live),
    ("api1.binance.com", Realm::Live),
    ("api2.binance.com", Realm::Live),
    ("api3.binance.com", Realm::Live),
    ("api4.binance.com", Realm::Live),
    ("ws-api.binance.com", Realm::Live),
    ("stream.binance.com", Realm::Live),
    ("data-api.binance.vision", Realm::Data),
    ("data-stream.binance.vision", Realm::Data),
];

/// The venue that orders go to. Whoever holds one knows that its addresses fit the mode.
#[derive(Debug)]
pub struct Destination {
    access: Access,
    realm: Realm,
    cleared: Option<Box<Cleared>>,
}

impl Destination {
    /// The demo's embedded venue, on this machine: the only venue that takes orders without any further question.
    pub fn demo(access: Access) -> Result<Self, AccessError> {
        Self::of(access, Mode::Demo, Realm::Demo)
    }

    /// A test network.
    pub fn testnet(access: Access) -> Result<Self, AccessError> {
        Self::of(access, Mode::Testnet, Realm::Testnet)
    }

    /// The live venue: only with the proof that every gate was passed, which is used up here.
    pub fn live(access: Access, cleared: Cleared) -> Result<Self, AccessError> {
        let destination = Self::of(access, Mode::Live, Realm::Live)?;
        Ok(Self { cleared: Some(Box::new(cleared)), ..destination })
    }

    fn of(access: Access, mode: Mode, wanted: Realm) -> Result<Self, AccessError> {
        must_be(&access, mode, wanted)?;
        Ok(Self { access, realm: wanted, cleared: None })
    }

    /// The proof that live was opened with.
    pub fn cleared(&self) -> Option<&Cleared> {
        self.cleared.as_deref()
    }

    /// Where it is.
    pub const fn access(&self) -> &Access {
        &self.access
    }

    /// Whose it is.
    pub const fn realm(&self) -> Realm {
        self.realm
    }
}

/// Any venue of any mode, for a dry run: the door that is made for it can't write an order (see [`super::dry`]).
#[derive(Debug)]
pub struct Rehearsal {
    access: Access,
}

impl Rehearsal {
    /// For a mode; its addresses must be those that the mode would trade at.
    pub fn of(access: Access, mode: Mode) -> Result<Self, AccessError> {
        match mode {
            Mode::Demo => must_be(&access, mode, Realm::Demo)?,
            Mode::Testnet => must_be(&access, mode, Realm::Testnet)?,
            Mode::Live => must_be(&access, mode, Realm::Live)?,
            Mode::Shadow | Mode::Paper => {
                return Err(AccessError::Setting(format!(
                    "--dry-run rehearses orders to a venue, and mode {} has none behind it; use demo, testnet or live",
                    mode.name()
                )));
            }
        }
        Ok(Self { access })
    }

    /// Where it is.
    pub const fn access(&self) -> &Access {
        &self.access
    }
}

/// Whether all addresses are of the realm that a mode trades in; says what to do if not.
pub fn must_be(access: &Access, mode: Mode, wanted: Realm) -> Result<(), AccessError> {
    for endpoint in [&access.rest, &access.stream, &access.ws_api] {
        let found = Realm::of_host(&endpoint.host);
        if found != wanted {
            return Err(AccessError::Setting(refusal(mode, endpoint, found)));
        }
    }
    Ok(())
}

fn refusal(mode: Mode, endpoint: &Endpoint, found: Realm) -> String {
    let name = mode.name();
    let found = found.name();
    match mode {
        Mode::Demo => format!(
            "refused: mode demo sends orders to an embedded venue on this machine only, and {endpoint} is not \
             ({found}); use --mode paper for that venue's market data"
        ),
        Mode::Testnet => format!(
            "refused: mode {name} sends orders to a test network only, and {endpoint} is not known as one ({found}); use \
             config/testnet.toml, or `interlock venue --persona testnet` with --venue FILE"
        ),
        _ => format!(
            "refused: mode {name} sends orders to the live venue, and {endpoint} is not known as one of its hosts ({found}); \
             use config/live.toml, or `interlock venue --persona live` with --venue FILE"
        ),
    }
}
