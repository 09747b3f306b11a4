//! A line of the control socket: an answer is one line of JSON with the request's id; a trip is a trip however it is written.

use interlock::ops::protocol::{self, Answer, NoArgs, RecoverArgs, SymbolArgs, TripArgs, VERSION, Verb};

/// Any bytes as a line.
pub(crate) fn control(data: &[u8]) {
    let wants_trip = protocol::wants_trip(data);
    let answer = match protocol::parse(data) {
        Ok((verb, request)) => {
            assert_eq!((request.v, request.cmd.as_str()), (VERSION, verb.name()));
            assert_eq!(Verb::parse(verb.name()), Some(verb));
            assert!(request.args.is_object());
            // Escapes are JSON's business; raw text must be enough for everyone else.
            assert!(
                verb != Verb::KillTrip || wants_trip || data.contains(&b'\\'),
                "a trip that is not seen as one"
            );
            let _args = (
                protocol::args::<TripArgs>(&request.args).is_ok(),
                protocol::args::<RecoverArgs>(&request.args).is_ok(),
                protocol::args::<SymbolArgs>(&request.args).is_ok(),
                protocol::args::<NoArgs>(&request.args).is_ok(),
            );
            Answer::ok(request.id, 7, request.args)
        }
        Err((id, refusal)) => {
            assert!(!refusal.message.is_empty() && !refusal.code.is_empty());
            if let Ok(value) = serde_json::from_slice::<serde_json::Value>(data) {
                assert_eq!(value.get("id").cloned().unwrap_or_default(), id, "the id comes back as it came");
            } else {
                assert!(id.is_null());
            }
            Answer::refused(id, 7, refusal)
        }
    };
    let line = answer.at_stage("tripped").line();
    assert!(!line.is_empty() && !line.contains('\n'), "an answer is one line");
    let read: Answer = serde_json::from_str(&line).expect("our own answers can be read");
    assert_eq!(read.line(), line);
}
