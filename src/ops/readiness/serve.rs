//! `GET /health/readiness` on loopback (R-RDY-1), on a cold thread of its own. It reads and computes; there is nothing here that
//! could be told to do anything.

use std::cell::RefCell;
use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::Value;
use tokio::sync::Notify;

use super::Verdict;
use crate::agent::Clock;
use crate::agent::runner::start_cold;
use crate::types::time::NS_PER_S;

/// The one path.
pub const PATH: &str = "/health/readiness";
/// An answer is good for so long: the evidence is files, and folding them for each request would let anyone keep a core busy.
const FRESH_NS: i64 = 5 * NS_PER_S;
/// Clients at once; one more is closed.
const CLIENTS_MAX: usize = 8;

/// What is asked for each answer: the verdict, and the documented object.
pub type Ask = Box<dyn Fn() -> (Verdict, Value) + Send>;

/// A running server. Dropping it stops it.
#[derive(Debug)]
pub struct Server {
    at: SocketAddr,
    stop: Arc<Notify>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Binds, here, so that the caller gets the error, and serves. Refuses an address that others can reach.
    pub fn start(listen: SocketAddr, clock: Clock, ask: Ask) -> io::Result<Self> {
        if !listen.ip().is_loopback() {
            return Err(io::Error::other(format!("{listen} is not a loopback address")));
        }
        let listener = TcpListener::bind(listen)?;
        listener.set_nonblocking(true)?;
        let at = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let stop = Arc::new(Notify::new());
        let until = Arc::clone(&stop);
        let thread = start_cold("readiness", move || {
            let desk = Rc::new(Desk { ask, clock, last: RefCell::default() });
            tokio::task::LocalSet::new().block_on(&runtime, accept(desk, listener, until));
        })?;
        Ok(Self { at, stop, thread: Some(thread) })
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.at
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.notify_one();
        if let Some(thread) = self.thread.take() {
            // A panic of that thread was printed by it.
            drop(thread.join());
        }
    }
}

/// What the connections share.
struct Desk {
    ask: Ask,
    clock: Clock,
    last: RefCell<Option<(i64, Verdict, String)>>,
}

impl Desk {
    fn look(&self) -> (Verdict, String) {
        let now_ns = self.clock.mono_ns();
        if let Some((at_ns, verdict, text)) = self.last.borrow().as_ref()
            && now_ns.saturating_sub(*at_ns) < FRESH_NS
        {
            return (*verdict, text.clone());
        }
        let (verdict, value) = (self.ask)();
        let text = value.to_string() + "\n";
        *self.last.borrow_mut() = Some((now_ns, verdict, text.clone()));
        (verdict, text)
    }
}

async fn accept(desk: Rc<Desk>, listener: TcpListener, until: Arc<Notify>) {
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
    loop {
        tokio::select! {
            () = until.notified() => return,
            accepted = listener.accept() => {
                // Out of descriptors, most likely: the next one may be had. Each client holds one reference to the desk.
                let Ok((stream, _)) = accepted else { tokio::task::yield_now().await; continue };
                if Rc::strong_count(&desk) <= CLIENTS_MAX {
                    tokio::task::spawn_local(serve(Rc::clone(&desk), stream));
                }
            }
        }
    }
}

async fn serve(desk: Rc<Desk>, stream: tokio::net::TcpStream) {
    let service = service_fn(move |request| {
        let answer = answer(&desk, &request);
        async { Ok::<_, Infallible>(answer) }
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).keep_alive(false);
    // How a client ends is its own affair.
    drop(builder.serve_connection(TokioIo::new(stream), service).await);
}

fn answer(desk: &Desk, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let (status, body) = if request.uri().path() != PATH {
        (StatusCode::NOT_FOUND, format!("{{\"error\":\"only {PATH} is here\"}}\n"))
    } else if request.method() != Method::GET && request.method() != Method::HEAD {
        (StatusCode::METHOD_NOT_ALLOWED, "{\"error\":\"GET only\"}\n".to_owned())
    } else {
        let (verdict, text) = desk.look();
        let status = if verdict == Verdict::NoGo { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
        (status, text)
    };
    let built = Response::builder()
        .status(status)
        .header(CONTENT_TYPE, "application/json")
        .header(CACHE_CONTROL, "no-store")
        .header(ALLOW, "GET, HEAD")
        .body(Full::new(Bytes::from(body)));
    built.unwrap_or_default()
}
