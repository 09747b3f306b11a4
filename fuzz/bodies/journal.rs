//! Bytes as a journal segment: whatever is read stands in the bytes, in its place in the chain, and writes back as it stood.
//! And bytes as a record's contents behind sound checksums and hashes, as someone who owns the machine could write them.

use std::convert::Infallible;

use interlock::journal::frame::{
    RECORD_VERSION, RecordHeader, SEGMENT_HEADER_BYTES, SegmentHeader, decode_frame, encode_frame,
};
use interlock::journal::image::{Image, read_any};
use interlock::journal::{Entry, Item};

/// Any bytes as a segment, and as a record's kind and payload.
pub(crate) fn journal(data: &[u8]) {
    segment(data);
    if let Some((&kind, payload)) = data.split_first() {
        segment(&sealed(kind, payload));
    }
}

/// A sound segment with one record of that payload.
fn sealed(kind: u8, payload: &[u8]) -> Vec<u8> {
    let header = SegmentHeader {
        epoch: 1,
        index: 1,
        seq0: 1,
        created_ns: 1,
        chain_id: [9; 16],
        prev_hash: [0; 32],
        config_hash: [7; 32],
        build_id: [0; 32],
    };
    let mut bytes = header.encode().to_vec();
    let head = RecordHeader {
        kind: u16::from(kind),
        version: RECORD_VERSION,
        seq: 1,
        durable: 0,
        mono_ns: 1,
        wall_ns: 1,
    };
    let framed = encode_frame(&mut bytes, head, &mut header.link(), |out| {
        // No record is longer, and the writer never makes one that is.
        out.extend_from_slice(&payload[..payload.len().min(4_096)]);
        Ok::<(), Infallible>(())
    });
    match framed {
        Ok(()) => bytes,
        Err(never) => match never {},
    }
}

fn segment(data: &[u8]) {
    let read = read_any(data);
    let Ok(reader) = Image::new(data).reader() else { return };
    let items: Vec<Item> = reader.map_while(Result::ok).collect();
    assert_eq!(items.len(), read);
    if items.is_empty() {
        return;
    }
    let header = SegmentHeader::decode(data).expect("records were read behind it");
    let (mut link, mut offset) = (header.link(), SEGMENT_HEADER_BYTES);
    for (item, seq) in items.iter().zip(header.seq0..) {
        let frame = decode_frame(&data[offset..], &link).expect("a record was read that is not in the chain");
        let found = (frame.header.seq, frame.header.wall_ns, frame.header.mono_ns, frame.header.kind);
        assert_eq!(found, (item.seq, item.wall_ns, item.mono_ns, item.entry.kind()));
        assert_eq!((item.seq, frame.header.version), (seq, RECORD_VERSION), "numbers have no gap");
        if let Entry::Record(_) = item.entry {
            let mut payload = Vec::new();
            item.entry.encode(&mut payload).expect("a record can be written");
            assert_eq!(payload, frame.payload, "what was read writes back as it stood");
        }
        link = frame.hash;
        offset += frame.bytes;
    }
}
