//! A client of the embedded venue made of other people's parts: `ureq` for REST, `tungstenite` over `rustls` for
//! WebSocket connections, `serde_json` for the rest. Nothing of the engine's own codecs.

use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::{hmac, signature::Ed25519KeyPair};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use interlock::sim::server::{ApiKey, VenueConfig, VenueHandle, start};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::{Value, json};
use tungstenite::{Message, WebSocket};

type Stream = StreamOwned<ClientConnection, TcpStream>;

/// How long a test waits for a message that must come.
const PATIENCE: Duration = Duration::from_secs(20);

/// A venue and what a client needs to use it.
pub(crate) struct Bench {
    pub(crate) handle: VenueHandle,
    agent: ureq::Agent,
    tls: Arc<ClientConfig>,
    _dir: tempfile::TempDir,
}

/// An answer of REST.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Value,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }
    pub(crate) fn code(&self) -> i64 {
        self.body["code"].as_i64().unwrap_or(0)
    }
}

#[expect(clippy::disallowed_methods, reason = "a client of its own reads a clock of its own")]
pub(crate) fn now_ms() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

/// A venue with books but without order flow, whose every order is therefore the test's own.
pub(crate) fn quiet() -> Bench {
    bench(|config| config.flow_percent = 0)
}

/// A venue as the demo has it, changed by `change`.
pub(crate) fn bench(change: impl FnOnce(&mut VenueConfig)) -> Bench {
    let dir = tempfile::tempdir().unwrap();
    let mut config = VenueConfig::demo(dir.path().to_owned());
    config.history_mins = 10;
    change(&mut config);
    let handle = start(config).unwrap();
    let pem = std::fs::read(handle.file().ca.as_ref().unwrap()).unwrap();
    let ca = CertificateDer::from_pem_slice(&pem).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(ca.clone()).unwrap();
    let tls = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let trusted =
        ureq::tls::RootCerts::Specific(Arc::new(vec![ureq::tls::Certificate::from_der(&ca).to_owned()]));
    let tls_config = ureq::tls::TlsConfig::builder()
        .root_certs(trusted)
        .unversioned_rustls_crypto_provider(provider)
        .build();
    let agent = ureq::Agent::config_builder()
        .tls_config(tls_config)
        .http_status_as_error(false)
        .allow_non_standard_methods(true)
        .timeout_global(Some(PATIENCE))
        .build()
        .new_agent();
    Bench { handle, agent, tls: Arc::new(tls), _dir: dir }
}

/// The signature of `payload` by a demo key, and the key's name.
pub(crate) fn sign(key: &ApiKey, payload: &str) -> (String, String) {
    match key {
        ApiKey::Hmac { api_key, secret } => {
            let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
            let tag = hmac::sign(&key, payload.as_bytes());
            let digits: Vec<String> = tag.as_ref().iter().map(|b| format!("{b:02x}")).collect();
            (api_key.clone(), digits.concat())
        }
        ApiKey::Ed25519 { api_key, private_key_pem } => {
            let body: String = private_key_pem.lines().filter(|l| !l.starts_with('-')).collect();
            let pair = Ed25519KeyPair::from_pkcs8(&STANDARD.decode(body).unwrap()).unwrap();
            (api_key.clone(), STANDARD.encode(pair.sign(payload.as_bytes())))
        }
    }
}

fn escape(text: &str) -> String {
    text.bytes()
        .map(|b| {
            if b.is_ascii_alphanumeric() || b"-_.~".contains(&b) {
                char::from(b).to_string()
            } else {
                format!("%{b:02X}")
            }
        })
        .collect()
}

impl Bench {
    pub(crate) fn hmac_key(&self) -> &ApiKey {
        &self.handle.file().keys.trade_hmac
    }
    pub(crate) fn ed25519_key(&self) -> &ApiKey {
        &self.handle.file().keys.trade_ed25519
    }
    pub(crate) fn halt_key(&self) -> &ApiKey {
        &self.handle.file().keys.halt
    }

    /// A control request with the token of `venue.json`.
    pub(crate) fn control(&self, method: &str, path: &str, body: Option<&str>) -> Answer {
        let token = self.handle.file().control.token.clone();
        self.send(method, &format!("/control/{path}"), ("X-Control-Token", &token), body)
    }

    /// One REST request.
    pub(crate) fn http(&self, method: &str, path: &str, key: &str, body: Option<&str>) -> Answer {
        self.send(method, path, ("X-MBX-APIKEY", key), body)
    }

    fn send(&self, method: &str, path: &str, (name, value): (&str, &str), body: Option<&str>) -> Answer {
        let url = format!("{}{path}", self.handle.urls().rest);
        let mut request = ureq::http::Request::builder().method(method).uri(url);
        if !value.is_empty() {
            request = request.header(name, value);
        }
        let answer = match body {
            Some(body) => {
                let request = request.header("Content-Type", "application/x-www-form-urlencoded");
                let config = self.agent.configure_request(request.body(body.to_owned()).unwrap());
                self.agent.run(config.allow_non_standard_methods(true).build())
            }
            None => self.agent.run(request.body(()).unwrap()),
        };
        let mut answer = answer.unwrap();
        let headers = answer
            .headers()
            .iter()
            .map(|(n, v)| (n.as_str().to_owned(), v.to_str().unwrap_or("").to_owned()))
            .collect();
        let text = answer.body_mut().read_to_string().unwrap();
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Answer { status: answer.status().as_u16(), headers, body }
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.http("GET", path, "", None)
    }

    /// A signed request with everything in the query.
    pub(crate) fn signed(&self, method: &str, path: &str, params: &str, key: &ApiKey) -> Answer {
        let joint = if params.is_empty() { "" } else { "&" };
        let payload = format!("{params}{joint}timestamp={}", now_ms());
        let (name, signature) = sign(key, &payload);
        let target = format!("{path}?{payload}&signature={}", escape(&signature));
        self.http(method, &target, &name, None)
    }

    /// A WebSocket over TLS.
    pub(crate) fn ws(&self, path: &str) -> Ws {
        self.try_ws(path).unwrap_or_else(|e| panic!("{path}: {e}"))
    }

    /// The same, or the HTTP answer that refused it.
    pub(crate) fn try_ws(&self, path: &str) -> Result<Ws, String> {
        let tcp = TcpStream::connect(self.handle.local_addr()).unwrap();
        tcp.set_nodelay(true).unwrap();
        tcp.set_read_timeout(Some(PATIENCE)).unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let tls = ClientConnection::new(Arc::clone(&self.tls), name).unwrap();
        let url = format!("ws://localhost{path}");
        let (socket, response) =
            tungstenite::client(url, StreamOwned::new(tls, tcp)).map_err(|e| e.to_string())?;
        assert!(response.headers().get("sec-websocket-extensions").is_none());
        Ok(Ws { socket, next_id: 1 })
    }

    /// A WebSocket API session.
    pub(crate) fn api(&self) -> Ws {
        self.ws("/ws-api/v3")
    }
}

/// A WebSocket client.
pub(crate) struct Ws {
    socket: WebSocket<Stream>,
    next_id: i64,
}

impl Ws {
    /// The next message of any kind; pings are answered by `tungstenite` when the next one is read.
    pub(crate) fn message(&mut self) -> Result<Message, tungstenite::Error> {
        self.socket.read()
    }
    /// The next text.
    pub(crate) fn text(&mut self) -> String {
        let mut pings = 0;
        loop {
            match self.message().unwrap() {
                Message::Text(text) => return text.to_string(),
                Message::Pong(_) => {}
                Message::Ping(_) => {
                    pings += 1;
                    assert!(pings < 3, "only pings came");
                }
                other => panic!("expected a text, got {other:?}"),
            }
        }
    }
    /// The next text as JSON.
    pub(crate) fn json(&mut self) -> Value {
        let text = self.text();
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"))
    }
    /// The next message that `wanted` likes; others are passed over.
    pub(crate) fn until(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        loop {
            let value = self.json();
            if wanted(&value) {
                return value;
            }
        }
    }
    pub(crate) fn send(&mut self, value: &Value) {
        self.socket.send(Message::text(value.to_string())).unwrap();
    }
    pub(crate) fn send_text(&mut self, text: &str) {
        self.socket.send(Message::text(text)).unwrap();
    }
    pub(crate) fn ping(&mut self, payload: &[u8]) {
        self.socket.send(Message::Ping(payload.to_vec().into())).unwrap();
    }
    /// A request as it stands; its answer.
    pub(crate) fn request(&mut self, method: &str, params: impl Into<Value>) -> Value {
        let id = self.next_id;
        self.next_id += 1;
        self.send(&json!({"id": id, "method": method, "params": params.into()}));
        self.until(|v| v["id"] == id)
    }
    /// A request with time stamp, key and signature; its answer.
    pub(crate) fn signed(&mut self, method: &str, params: Value, key: &ApiKey) -> Value {
        let params = sign_params(params, key, now_ms());
        self.request(method, params)
    }
}

/// Adds `timestamp`, `apiKey` and `signature`.
pub(crate) fn sign_params(mut params: Value, key: &ApiKey, timestamp: i64) -> Value {
    params["timestamp"] = timestamp.into();
    params["apiKey"] = key.api_key().into();
    let mut pairs: Vec<String> = params
        .as_object()
        .unwrap()
        .iter()
        .map(|(n, v)| format!("{n}={}", v.as_str().map_or_else(|| v.to_string(), str::to_owned)))
        .collect();
    pairs.sort();
    params["signature"] = sign(key, &pairs.join("&")).1.into();
    params
}

/// A limit order on BTCUSDT.
pub(crate) fn limit(side: &str, price: &str, quantity: &str) -> Value {
    json!({"symbol": "BTCUSDT", "side": side, "type": "LIMIT", "timeInForce": "GTC", "price": price, "quantity": quantity})
}
