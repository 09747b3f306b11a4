//! Signing against the venues' own published examples, and that no key shows (R-GATE-9).

use interlock::venue::binance::Credentials;
use interlock::venue::binance::rest;
use interlock::wire::sign::{Ed25519Key, HmacKey, KeyError, percent_encode};
use secrecy::SecretString;

use crate::support::recordings;

/// From the venue's documents; not secrets.
const API_KEY: &str = "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A";
const SECRET: &str = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j";
const FIX_KEY: &str = "MC4CAQAwBQYDK2VwBCIEIIJEYWtGBrhACmb9Dvy+qa8WEf0lQOl1s4CLIAB9m89u";
const FIX_SIGNATURE: &str =
    "4MHXelVVcpkdwuLbl6n73HQUXUf1dse2PCgT1DYqW9w8AVZ1RACFGM+5UdlGPrQHrgtS3CvsRURC1oj73j8gCA==";
const FIX_PAYLOAD: &[u8] = b"A\x01EXAMPLE\x01SPOT\x011\x0120240627-11:17:25.223";

fn secret(text: &str) -> SecretString {
    SecretString::from(text)
}

#[test]
fn every_official_vector_passes() {
    let Some(path) = recordings("vectors/signing_and_checksum_vectors.json") else { return };
    let text = std::fs::read_to_string(path).unwrap();
    let vectors: serde_json::Value = serde_json::from_str(&text).unwrap();
    let hmac = &vectors["binance_hmac_sha256"];
    let key = HmacKey::new(&secret(hmac["secretKey"].as_str().unwrap())).unwrap();
    let cases = hmac["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 4);
    for case in cases {
        let payload = case["payload"].as_str().unwrap().as_bytes();
        let expected = case["expected"].as_str().unwrap();
        assert_eq!(key.sign(payload).as_str(), expected, "{}", case["name"]);
        // The same in two steps, wherever it is cut.
        for cut in 0..payload.len() {
            let (prefix, rest) = payload.split_at(cut);
            assert_eq!(key.after(prefix).sign(rest).as_str(), expected, "cut at {cut}");
        }
    }
    let fix = &vectors["binance_ed25519_fix_logon"];
    let parts = fix["payload_joined_by_SOH"].as_array().unwrap();
    let payload = parts.iter().map(|p| p.as_str().unwrap()).collect::<Vec<_>>().join("\u{1}");
    let pem = fix["published_example_key_pkcs8_der_base64"].as_str().unwrap();
    let key = Ed25519Key::from_pem(&secret(pem)).unwrap();
    assert_eq!(key.sign(payload.as_bytes()).as_str(), fix["expected_base64"].as_str().unwrap());
}

#[test]
fn ed25519_keys_are_taken_as_pem_and_as_base64() {
    for pem in [
        FIX_KEY.to_owned(),
        format!("-----BEGIN PRIVATE KEY-----\n{FIX_KEY}\n-----END PRIVATE KEY-----\n"),
        format!(
            "-----BEGIN PRIVATE KEY-----\r\n{}\r\n{}\r\n-----END PRIVATE KEY-----",
            &FIX_KEY[..40],
            &FIX_KEY[40..]
        ),
    ] {
        let key = Ed25519Key::from_pem(&secret(&pem)).unwrap();
        assert_eq!(key.sign(FIX_PAYLOAD).as_str(), FIX_SIGNATURE);
    }
}

#[test]
fn r_gate_9_unusable_keys_are_refused_without_showing_them() {
    for (text, expected) in [
        ("", KeyError::Empty),
        ("-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----", KeyError::Empty),
        ("hunter2-is-not-base64!", KeyError::NotPkcs8),
        ("aHVudGVyMg==", KeyError::NotEd25519),
        (&FIX_KEY[..60], KeyError::NotEd25519),
    ] {
        let error = Ed25519Key::from_pem(&secret(text)).unwrap_err();
        assert_eq!(error, expected, "{text}");
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
    assert_eq!(HmacKey::new(&secret("")).unwrap_err(), KeyError::Empty);
    for key in ["", "has \"quotes\"", "back\\slash", "new\nline", &"k".repeat(200)] {
        let error = Credentials::hmac(secret(key), &secret(SECRET)).unwrap_err();
        assert!(key.is_empty() || !error.to_string().contains(key), "{error}");
    }
}

#[test]
fn r_gate_9_no_key_and_no_signature_shows_in_debug_output() {
    let hmac = Credentials::hmac(secret(API_KEY), &secret(SECRET)).unwrap();
    let ed = Credentials::ed25519(secret(API_KEY), &secret(FIX_KEY)).unwrap();
    let key = HmacKey::new(&secret(SECRET)).unwrap();
    let request = rest::account_request(&hmac, 1_700_000_000_000);
    let mut text = interlock::wire::text::TextBuf::new();
    let mut account = interlock::venue::binance::account::AccountSession::new(
        &crate::binance_support::table(&["BTC-USDT"]),
        Credentials::hmac(secret(API_KEY), &secret(SECRET)).unwrap(),
    );
    account.handle_open(crate::binance_support::at_ms(0));
    assert!(account.request(1_700_000_000_000, &mut text));
    let shown = format!(
        "{hmac:?} {hmac:#?} {ed:?} {key:?} {:?} {:?} {request:?} {text:?} {account:?}",
        key.after(b"x"),
        key.sign(b"x"),
    );
    for hidden in [API_KEY, SECRET, FIX_KEY, &key.sign(b"x").as_str()[..16], "signature="] {
        assert!(!shown.contains(hidden), "{hidden} shows in {shown}");
    }
}

#[test]
fn queries_are_percent_encoded_as_the_venue_signs_them() {
    let mut out = String::new();
    percent_encode(&mut out, "１２３ a+b/c=~-_.\"[]");
    assert_eq!(out, "%EF%BC%91%EF%BC%92%EF%BC%93%20a%2Bb%2Fc%3D~-_.%22%5B%5D");
}

#[test]
fn signed_rest_requests_verify() {
    let hmac = Credentials::hmac(secret(API_KEY), &secret(SECRET)).unwrap();
    let symbol = interlock::types::Symbol::new(b"BTCUSDT").unwrap();
    let request = rest::cancel_all_request(&hmac, symbol, 1_700_000_000_000);
    let (query, signature) = request
        .path_and_query
        .strip_prefix("/api/v3/openOrders?")
        .unwrap()
        .split_once("&signature=")
        .unwrap();
    assert_eq!((request.method, query), ("DELETE", "symbol=BTCUSDT&recvWindow=5000&timestamp=1700000000000"));
    assert_eq!(hmac.sign(query.as_bytes()).as_str(), signature);
    // Base64 has bytes that a query must encode.
    let ed = Credentials::ed25519(secret(API_KEY), &secret(FIX_KEY)).unwrap();
    let request = rest::open_orders_request(&ed, None, 1_700_000_000_000);
    let (_, signature) = request.path_and_query.split_once("&signature=").unwrap();
    assert!(signature.ends_with("%3D%3D") && !signature.contains(['+', '/', '=']), "{signature}");
}
