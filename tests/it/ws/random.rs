//! Random sessions: frames, fragments and cuts by a seed; and random damage, which may end a session but never panic.

use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};

use super::{Seen, feed, frame, open_client_with, take_transmit, unmask};
use crate::support;

struct Session {
    bytes: Vec<u8>,
    seen: Vec<Seen>,
    pongs: Vec<Vec<u8>>,
}

fn control(random: &mut SmallRng, session: &mut Session) {
    let payload: Vec<u8> = (0..random.random_range(0..=125)).map(|_| random.random()).collect();
    if random.random() {
        session.bytes.extend(frame(OpCode::Control(Control::Ping), &payload, true));
        session.seen.push(Seen::Ping);
        session.pongs.push(payload);
    } else {
        session.bytes.extend(frame(OpCode::Control(Control::Pong), &payload, true));
        session.seen.push(Seen::Pong);
    }
}

fn session(random: &mut SmallRng, messages: usize, bytes_max: usize) -> Session {
    let mut session = Session { bytes: Vec::new(), seen: Vec::new(), pongs: Vec::new() };
    for _ in 0..messages {
        let len = match random.random_range(0..10) {
            0 => random.random_range(0..=3),
            1 => random.random_range(124..=128),
            2 => random.random_range(65_533..=65_538).min(bytes_max),
            3 => random.random_range(0..=bytes_max),
            _ => random.random_range(60..=400),
        };
        let message: Vec<u8> = (0..len).map(|_| random.random()).collect();
        let mut rest = message.as_slice();
        let mut opcode = OpCode::Data(Data::Text);
        while random.random_ratio(1, 3) {
            let (part, after) = rest.split_at(random.random_range(0..=rest.len()));
            session.bytes.extend(frame(opcode, part, false));
            (rest, opcode) = (after, OpCode::Data(Data::Continue));
            if random.random_ratio(1, 3) {
                control(random, &mut session);
            }
        }
        session.bytes.extend(frame(opcode, rest, true));
        session.seen.push(Seen::Text(message));
        if random.random_ratio(1, 8) {
            control(random, &mut session);
        }
    }
    session
}

fn pieces<'b>(random: &mut SmallRng, mut bytes: &'b [u8]) -> Vec<&'b [u8]> {
    let longest = *[3, 50, 1_500, 16_384, 200_000].get(random.random_range(0..5)).unwrap();
    let mut pieces = Vec::new();
    while !bytes.is_empty() {
        let (piece, rest) = bytes.split_at(random.random_range(1..=longest).min(bytes.len()));
        pieces.push(piece);
        bytes = rest;
    }
    pieces
}

#[test]
fn random_sessions_cut_at_random() {
    let mut random = SmallRng::seed_from_u64(support::seed(1));
    for round in 0..60 {
        let bytes_max = if round % 4 == 0 { 70_000 } else { 1_000 };
        let session = session(&mut random, 40, bytes_max);
        let mut client = open_client_with(bytes_max);
        let mut seen = Vec::new();
        let mut pongs = Vec::new();
        for piece in pieces(&mut random, &session.bytes) {
            seen.extend(feed(&mut client, piece));
            pongs.extend(unmask(&take_transmit(&mut client)));
        }
        assert!(seen == session.seen, "round {round}");
        assert!(pongs.iter().all(|(first, _)| *first == 0x8a), "round {round}");
        assert!(pongs.into_iter().map(|(_, payload)| payload).eq(session.pongs), "round {round}");
    }
}

#[test]
fn random_damage_never_panics_and_an_error_is_final() {
    let mut random = SmallRng::seed_from_u64(support::seed(2));
    for _ in 0..2_000 {
        let mut session = session(&mut random, 4, 1_000);
        for _ in 0..random.random_range(1..=4) {
            let at = random.random_range(0..session.bytes.len());
            session.bytes[at] ^= 1 << random.random_range(0..8);
        }
        let mut client = open_client_with(1_000);
        let mut failed = None;
        for piece in pieces(&mut random, &session.bytes) {
            let seen = feed(&mut client, piece);
            let _pongs = take_transmit(&mut client);
            if failed.is_some() {
                assert_eq!(seen.last(), failed.as_ref());
            }
            failed = seen.last().filter(|s| matches!(s, Seen::Failed(_))).cloned().or(failed);
        }
    }
}
