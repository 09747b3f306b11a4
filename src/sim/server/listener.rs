//! Sockets: accept, TLS, HTTP/1.1.

use std::rc::Rc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::http;
use super::venue::Venue;

/// How long a client may take for its TLS handshake.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);

/// Accepts connections until the venue ends.
pub(super) async fn accept(venue: Rc<Venue>, listener: TcpListener, tls: Option<TlsAcceptor>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of descriptors, most likely: give connections a moment to end.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        tokio::task::spawn_local(connection(Rc::clone(&venue), stream, tls.clone()));
    }
}

async fn connection(venue: Rc<Venue>, stream: TcpStream, tls: Option<TlsAcceptor>) {
    // Without it small order replies would wait for the client's acknowledgement of what went before.
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let Ok(peer) = stream.peer_addr() else { return };
    match tls {
        None => serve(venue, peer.ip(), stream).await,
        Some(acceptor) => {
            let shaken = tokio::time::timeout(HANDSHAKE_WITHIN, acceptor.accept(stream)).await;
            if let Ok(Ok(stream)) = shaken {
                serve(venue, peer.ip(), stream).await;
            }
        }
    }
}

async fn serve<S>(venue: Rc<Venue>, from: std::net::IpAddr, io: S)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request| http::handle(Rc::clone(&venue), from, request));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(io), service)
        .with_upgrades();
    // How a client ends is its own affair.
    drop(connection.await);
}
