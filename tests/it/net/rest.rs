//! REST: statuses are answers; what never came is an error that says whether the request can have arrived.

use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use interlock::limits;
use interlock::net::{Endpoint, Method, Rest, RestTimeouts, TlsRoots};
use interlock::types::Reason;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::Authority;

const PATIENT: RestTimeouts =
    RestTimeouts { connect: Duration::from_secs(20), total: Duration::from_secs(30) };

/// A server that takes one connection, reads one request and gives one answer; it returns the request.
fn serve(
    tls: Option<Arc<ServerConfig>>,
    answer: impl FnOnce(&mut dyn Write) + Send + 'static,
) -> (u16, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    #[expect(
        clippy::disallowed_methods,
        reason = "the client under test blocks, so its server needs a thread"
    )]
    let thread = std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        match tls {
            None => {
                let mut writer = stream.try_clone().unwrap();
                let request = read_request(stream);
                answer(&mut writer);
                request
            }
            Some(config) => {
                let mut stream = StreamOwned::new(ServerConnection::new(config).unwrap(), stream);
                let request = read_request(&mut stream);
                answer(&mut stream);
                request
            }
        }
    });
    (port, thread)
}

/// Reads a request with its body; empty when the peer went away.
fn read_request(stream: impl Read) -> String {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    let mut body_len = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return head;
        }
        if let Some(len) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            body_len = len.trim().parse().unwrap();
        }
        head.push_str(&line);
        if line == "\r\n" {
            break;
        }
    }
    let mut body = vec![0; body_len];
    reader.read_exact(&mut body).unwrap();
    head + core::str::from_utf8(&body).unwrap()
}

fn rest(url: &str, timeouts: RestTimeouts) -> Rest {
    Rest::new(Endpoint::parse(url).unwrap(), &TlsRoots::WebPki, timeouts)
}

fn fixed(text: &'static str) -> impl FnOnce(&mut dyn Write) + Send + 'static {
    move |out| out.write_all(text.as_bytes()).unwrap()
}

#[test]
fn an_answer_has_status_headers_and_body() {
    let answer = "HTTP/1.1 200 OK\r\nX-MBX-USED-WEIGHT-1M: 25\r\nContent-Length: 8\r\n\r\n{\"a\": 1}";
    let (port, server) = serve(None, fixed(answer));
    let rest = rest(&format!("http://127.0.0.1:{port}"), PATIENT);
    let answer = rest.get("/api/v3/depth?symbol=BTCUSDT&limit=5", &[("X-MBX-APIKEY", "k")]).unwrap();
    assert_eq!((answer.status, answer.is_success(), answer.body.as_slice()), (200, true, &b"{\"a\": 1}"[..]));
    assert_eq!(answer.header("x-mbx-used-weight-1m"), Some("25"));
    assert_eq!(answer.header("retry-after"), None);
    let request = server.join().unwrap();
    assert!(request.starts_with("GET /api/v3/depth?symbol=BTCUSDT&limit=5 HTTP/1.1\r\n"), "{request}");
    assert!(request.to_ascii_lowercase().contains("x-mbx-apikey: k\r\n"), "{request}");
}

#[test]
fn every_method_and_body_goes_out_as_given() {
    for (method, body, starts, ends) in [
        (Method::Post, "", "POST /p?a=1&b=%20 ", "\r\n\r\n"),
        (Method::Post, "a=1", "POST /p?a=1&b=%20 ", "\r\n\r\na=1"),
        (Method::Put, "x", "PUT /p?a=1&b=%20 ", "\r\n\r\nx"),
        (Method::Delete, "", "DELETE /p?a=1&b=%20 ", "\r\n\r\n"),
    ] {
        let (port, server) = serve(None, fixed("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
        let rest = rest(&format!("http://127.0.0.1:{port}"), PATIENT);
        let answer = rest.request(method, "/p?a=1&b=%20", &[], body.as_bytes()).unwrap();
        assert_eq!((answer.status, answer.body.len()), (200, 0));
        let request = server.join().unwrap();
        assert!(request.starts_with(starts) && request.ends_with(ends), "{request}");
    }
}

#[test]
fn refusals_and_redirects_are_answers() {
    for (answer, status, retry_after_s) in [
        ("HTTP/1.1 429 Slow\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n", 429, Some(7)),
        ("HTTP/1.1 418 Teapot\r\nRetry-After: 120\r\nContent-Length: 0\r\n\r\n", 418, Some(120)),
        ("HTTP/1.1 503 Down\r\nContent-Length: 2\r\n\r\nno", 503, None),
        ("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/steal\r\nContent-Length: 0\r\n\r\n", 302, None),
        ("HTTP/1.1 400 Bad\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{...}\r\n0\r\n\r\n", 400, None),
    ] {
        let (port, server) = serve(None, fixed(answer));
        let answer =
            rest(&format!("http://127.0.0.1:{port}"), PATIENT).get("/x", &[("X-MBX-APIKEY", "k")]).unwrap();
        assert_eq!((answer.status, answer.retry_after_s()), (status, retry_after_s));
        assert!(!answer.is_success());
        server.join().unwrap();
    }
}

#[test]
fn tls_uses_the_pinned_authority_and_no_other() {
    let (authority, other) = (Authority::new(), Authority::named("another"));
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
    for (name, roots, text) in [
        ("localhost", authority.roots(), None),
        ("localhost", other.roots(), Some("not trusted here")),
        ("localhost", TlsRoots::WebPki, Some("not trusted here")),
        ("elsewhere.test", authority.roots(), Some("for another name")),
    ] {
        let (port, server) = serve(Some(authority.server(name, |_| {})), move |out| {
            let _may_be_gone = out.write_all(answer.as_bytes()).is_ok();
        });
        let rest = Rest::new(Endpoint::parse(&format!("https://localhost:{port}")).unwrap(), &roots, PATIENT);
        match (rest.get("/x", &[]), text) {
            (Ok(answer), None) => assert_eq!(answer.body, b"{}"),
            (Err(error), Some(text)) => {
                assert_eq!((error.reason, error.may_have_arrived), (Reason::Tls, false), "{error}");
                assert!(error.to_string().contains(text), "{error}");
            }
            (result, _) => panic!("{name}: {result:?}"),
        }
        let request = server.join().unwrap();
        assert_eq!(
            request.is_empty(),
            text.is_some(),
            "a server that is not trusted hears nothing: {request}"
        );
    }
}

#[test]
fn what_never_came_says_whether_the_request_can_have_arrived() {
    // Nobody listens.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let error = rest(&format!("http://127.0.0.1:{port}"), PATIENT).get("/x?signature=abc", &[]).unwrap_err();
    assert_eq!((error.reason, error.may_have_arrived), (Reason::Unreachable, false), "{error}");
    let text = error.to_string();
    assert!(text.contains(&format!("127.0.0.1:{port}/x")) && !text.contains("abc"), "{text}");

    // It reads and never answers.
    let (done, is_done) = std::sync::mpsc::channel::<()>();
    let (port, server) = serve(None, move |_| assert!(is_done.recv().is_err()));
    let timeouts = RestTimeouts { total: Duration::from_millis(300), ..PATIENT };
    let error = rest(&format!("http://127.0.0.1:{port}"), timeouts).get("/x", &[]).unwrap_err();
    assert_eq!((error.reason, error.may_have_arrived), (Reason::Timeout, true), "{error}");
    drop(done);
    server.join().unwrap();

    // It reads and hangs up, cuts the body short, or talks nonsense.
    for answer in ["", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort", "SSH-2.0-x\r\n\r\n"] {
        let (port, server) = serve(None, fixed(answer));
        let error = rest(&format!("http://127.0.0.1:{port}"), PATIENT)
            .request(Method::Post, "/api/v3/order", &[], b"")
            .unwrap_err();
        assert!(error.may_have_arrived, "{answer}: {error}");
        assert!(matches!(error.reason, Reason::ConnectionLost | Reason::Malformed), "{answer}: {error:?}");
        server.join().unwrap();
    }

    // A header that would break out of its line is ours to blame.
    let error = rest("http://127.0.0.1:1", PATIENT).get("/x", &[("a", "b\r\nc: d")]).unwrap_err();
    assert_eq!((error.reason, error.may_have_arrived), (Reason::Malformed, false), "{error}");
}

#[test]
fn a_body_over_the_bound_is_refused() {
    let (port, server) = serve(None, |out| {
        let mut is_heard = out.write_all(b"HTTP/1.1 200 OK\r\n\r\n").is_ok();
        let piece = vec![b' '; 1 << 20];
        for _ in 0..=limits::REST_BODY_BYTES_MAX / piece.len() {
            is_heard = is_heard && out.write_all(&piece).is_ok();
        }
    });
    let error = rest(&format!("http://127.0.0.1:{port}"), PATIENT).get("/big", &[]).unwrap_err();
    assert_eq!((error.reason, error.may_have_arrived), (Reason::Malformed, true), "{error}");
    assert!(error.to_string().contains("over the bound"), "{error}");
    server.join().unwrap();
}
