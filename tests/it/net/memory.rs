//! Memory links: order, cuts, bounds, ends.

use interlock::limits;
use interlock::types::Reason;
use interlock::wire::link::{Connector as _, Link as _, LinkState};
use interlock::wire::memory;

#[test]
fn bytes_come_in_order_and_are_cut_where_the_test_says() {
    let (mut a, mut b) = memory::pair(64);
    b.set_cuts(vec![7, 3, 3, 20]);
    a.write(b"0123456789").unwrap();
    let mut bytes = [0; 64];
    let mut reads = Vec::new();
    loop {
        match b.read(&mut bytes).unwrap() {
            0 => break,
            count => reads.push(bytes[..count].to_vec()),
        }
    }
    assert_eq!(reads, [b"012".to_vec(), b"3456".to_vec(), b"789".to_vec()]);
    b.set_read_bytes_max(1);
    a.write(b"ab").unwrap();
    assert_eq!((b.read(&mut bytes), bytes[0]), (Ok(1), b'a'));
    assert_eq!((b.read(&mut bytes), bytes[0]), (Ok(1), b'b'));
    b.write(b"back").unwrap();
    assert_eq!(a.read(&mut bytes), Ok(4));
}

#[test]
fn what_does_not_fit_is_kept_up_to_the_bound_and_never_reordered() {
    let (mut a, mut b) = memory::pair(100);
    let piece: Vec<u8> = (0..=250).collect();
    let mut written = Vec::new();
    while a.write(&piece).is_ok() {
        written.extend_from_slice(&piece);
    }
    assert_eq!(a.write(&piece), Err(Reason::LineFull));
    assert_eq!(a.drive(0), LinkState::Open, "a full link is not a dead one");
    assert!(!a.is_flushed());
    assert!(written.len() <= limits::LINK_PENDING_BYTES_MAX + 100);
    let mut received = Vec::new();
    let mut bytes = [0; 77];
    while !a.is_flushed() || received.len() < written.len() {
        let count = b.read(&mut bytes).unwrap();
        received.extend_from_slice(&bytes[..count]);
        assert_eq!(a.drive(0), LinkState::Open);
    }
    assert!(received == written);
}

#[test]
fn an_end_is_seen_after_the_last_byte() {
    let (mut a, mut b) = memory::pair(64);
    a.write(b"bye").unwrap();
    a.close();
    assert_eq!(a.drive(0), LinkState::Closed(Reason::Closed));
    let mut bytes = [0; 64];
    assert_eq!(b.read(&mut bytes), Ok(3));
    assert_eq!(b.read(&mut bytes), Err(Reason::Closed));
    assert_eq!(b.write(b"x"), Err(Reason::Closed));
    let (a, mut b) = memory::pair(64);
    drop(a);
    assert_eq!(b.write(b"x"), Err(Reason::Closed));
    assert_eq!(b.drive(0), LinkState::Closed(Reason::Closed));
}

#[test]
fn a_connector_hands_out_what_was_put_and_then_nobody_listens() {
    let (mut put, mut connector) = memory::connector(2);
    let (a, mut b) = memory::pair(64);
    assert!(put.push(a).is_ok());
    let mut link = connector.open(0);
    link.write(b"hi").unwrap();
    assert_eq!(b.read(&mut [0; 8]), Ok(2));
    assert_eq!(connector.open(0).drive(0), LinkState::Closed(Reason::Unreachable));
}
