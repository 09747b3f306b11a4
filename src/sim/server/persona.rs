//! Which venue the embedded one plays. Each persona has a loopback address of its own, draws keys of its own, and holds a
//! certificate for its own address only: what is meant for one can't reach another by accident, and a test that trades on
//! "live" has the same wire between it and the venue as the real thing.

use std::net::{IpAddr, Ipv4Addr};

use serde::{Deserialize, Serialize};

/// Who the venue pretends to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Persona {
    /// The demo's venue, at `127.0.0.1`.
    #[default]
    Demo,
    /// A test network, at `127.0.0.2`.
    Testnet,
    /// The real venue, at `127.0.0.3`.
    Live,
}

impl Persona {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Demo, Self::Testnet, Self::Live];

    /// As on the command line and in `venue.json`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Demo => "demo",
            Self::Testnet => "testnet",
            Self::Live => "live",
        }
    }

    /// From its name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|persona| persona.name() == name)
    }

    /// Its own address.
    pub const fn address(self) -> Ipv4Addr {
        match self {
            Self::Demo => Ipv4Addr::LOCALHOST,
            Self::Testnet => Ipv4Addr::new(127, 0, 0, 2),
            Self::Live => Ipv4Addr::new(127, 0, 0, 3),
        }
    }

    /// Whether it may listen there. The demo's also has `::1`.
    pub fn may_listen_on(self, ip: IpAddr) -> bool {
        ip == IpAddr::V4(self.address())
            || (self == Self::Demo && ip == IpAddr::V6(std::net::Ipv6Addr::LOCALHOST))
    }
}
