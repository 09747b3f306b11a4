//! Style and layering as a test: who may name whom, how long a file may be, which words may not appear. The table below is
//! the architecture; `docs/ARCHITECTURE.md` shows the same picture.

use std::fs;
use std::path::{Path, PathBuf};

/// Room -> rooms that it may name. Nothing but `run` and the binaries may name `ops`, `net`, `sim` or `run`: that is the
/// wall between hot and cold.
const ROOMS: &[(&str, &[&str])] = &[
    ("limits", &[]),
    ("types", &["limits"]),
    ("event", &["types", "limits"]),
    ("agent", &["types", "limits"]),
    ("shared", &["types", "limits"]),
    ("wire", &["types", "limits"]),
    ("venue", &["types", "event", "wire", "limits"]),
    ("feed", &["types", "event", "agent", "shared", "wire", "venue", "limits"]),
    ("strategy", &["types", "event", "limits"]),
    ("signal", &["types", "event", "agent", "shared", "strategy", "limits"]),
    ("risk", &["types", "event", "agent", "shared", "limits"]),
    ("gateway", &["types", "event", "agent", "shared", "wire", "venue", "risk", "limits"]),
    ("journal", &["types", "event", "agent", "shared", "limits"]),
    ("net", &["types", "wire", "limits"]),
    ("sim", &["types", "event", "agent", "wire", "venue", "limits"]),
    ("ops", &["types", "event", "agent", "shared", "journal", "limits"]),
    (
        "run",
        &[
            "agent", "event", "feed", "gateway", "journal", "limits", "net", "ops", "risk", "shared",
            "signal", "sim", "strategy", "types", "venue", "wire",
        ],
    ),
];

/// Longest file. Longer ones are asking to be split.
const FILE_LINES_MAX: usize = 700;
/// Longest line: what rustfmt leaves (strings and comments) must still be readable.
const LINE_COLUMNS_MAX: usize = 130;
/// Words that may not appear in the sources, each with what to do instead.
const BANNED: &[(&str, &str)] = &[
    ("todo!(", "finish it"),
    ("unimplemented!(", "finish it"),
    ("FIXME", "fix it"),
    ("super::super", "name the room: crate::room"),
    ("crate::{", "one path an import, so that this test can read them"),
    ("#[ignore]", "say why: #[ignore = \"...\"], and where it does run"),
];

fn sources(below: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(below)];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries.flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn relative(path: &Path) -> String {
    path.strip_prefix(env!("CARGO_MANIFEST_DIR")).unwrap_or(path).display().to_string()
}

/// The room of a source file: `src/risk/checks.rs` and `src/limits.rs` alike.
fn room(path: &Path) -> Option<String> {
    let relative = relative(path);
    let inside = relative.strip_prefix("src/")?;
    if inside == "lib.rs" || inside.starts_with("bin/") {
        return None;
    }
    let first = inside.split('/').next()?;
    Some(first.trim_end_matches(".rs").to_owned())
}

#[test]
fn rooms_name_only_whom_they_may() {
    let mut wrong = Vec::new();
    for path in sources("src") {
        let Some(room) = room(&path) else { continue };
        let Some((_, allowed)) = ROOMS.iter().find(|(name, _)| *name == room) else {
            wrong.push(format!("{}: room {room} is not in the table", relative(&path)));
            continue;
        };
        let text = fs::read_to_string(&path).expect("a source file can be read");
        for (at, line) in text.lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            for piece in code.split("crate::").skip(1) {
                let named: String =
                    piece.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
                let known = ROOMS.iter().any(|(name, _)| *name == named);
                if known && named != room && !allowed.contains(&named.as_str()) {
                    wrong.push(format!("{}:{}: {room} may not name {named}", relative(&path), at + 1));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn every_room_is_in_the_library() {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs")).expect("lib.rs");
    for (room, _) in ROOMS {
        assert!(text.contains(&format!("pub mod {room};")), "room {room} is in the table but not in lib.rs");
    }
    for line in text.lines().filter_map(|l| l.strip_prefix("pub mod ")) {
        let name = line.trim_end_matches(';');
        assert!(ROOMS.iter().any(|(room, _)| *room == name), "room {name} is in lib.rs but not in the table");
    }
}

/// The table of rooms in `docs/ARCHITECTURE.md` says what the table above says. `limits` stands in the first column only: all may
/// name it.
#[test]
fn the_map_shows_the_rooms_as_they_are() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/ARCHITECTURE.md");
    let text = fs::read_to_string(path).expect("the map");
    let mut shown = Vec::new();
    for line in text.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [room, _question, may_name] = cells[..] else { panic!("three cells: {line}") };
        let room = room.trim_matches('`').trim_end_matches(".rs").split('/').next().unwrap_or_default();
        let mut names: Vec<&str> = may_name.split(", ").filter(|name| *name != "-").collect();
        names.sort_unstable();
        shown.push((room, names));
    }
    for (room, allowed) in ROOMS {
        let (_, names) =
            shown.iter().find(|(name, _)| name == room).unwrap_or_else(|| panic!("{room} is not on the map"));
        let mut allowed: Vec<&str> = allowed.iter().copied().filter(|name| *name != "limits").collect();
        allowed.sort_unstable();
        assert!(
            names[..] == ["all"] || *names == allowed,
            "{room}: the map says {names:?}, the table {allowed:?}"
        );
        assert!(names[..] != ["all"] || *room == "run", "{room} may not name all");
    }
    assert_eq!(shown.len(), ROOMS.len(), "a room is on the map that isn't in the table");
}

/// Every link of a document into this project leads somewhere.
#[test]
fn links_of_documents_lead_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut documents: Vec<PathBuf> =
        ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"].map(|f| root.join(f)).into();
    for folder in ["docs", "docs/decisions", "docs/runbooks"] {
        let entries = fs::read_dir(root.join(folder)).expect("a folder of documents").flatten();
        documents.extend(entries.map(|e| e.path()).filter(|p| p.extension().is_some_and(|e| e == "md")));
    }
    let mut wrong = Vec::new();
    for path in documents {
        let text = fs::read_to_string(&path).expect("a document can be read");
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let target = path.parent().unwrap_or(root).join(file);
            let target = if file.is_empty() { path.clone() } else { target };
            if link.starts_with("http") {
                continue;
            }
            let is_there = if heading.is_empty() {
                target.exists()
            } else {
                fs::read_to_string(&target).is_ok_and(|text| has_heading(&text, heading))
            };
            if !is_there {
                wrong.push(format!("{}: {link} leads nowhere", relative(&path)));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// Whether a document has a heading of that anchor: lower case, words joined by dashes, no other signs.
fn has_heading(text: &str, anchor: &str) -> bool {
    let anchor_of = |line: &str| -> String {
        let kept = line.trim_start_matches('#').trim().to_lowercase();
        let kept = kept.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    text.lines().any(|line| line.starts_with('#') && anchor_of(line) == anchor)
}

#[test]
fn sources_are_short_and_clean() {
    let mut wrong = Vec::new();
    for path in sources("src").into_iter().chain(sources("tests")).chain(sources("benches")) {
        if relative(&path) == "tests/tidy.rs" {
            continue;
        }
        let text = fs::read_to_string(&path).expect("a source file can be read");
        let lines = text.lines().count();
        if lines > FILE_LINES_MAX {
            wrong.push(format!("{}: {lines} lines; split it (at most {FILE_LINES_MAX})", relative(&path)));
        }
        for (at, line) in text.lines().enumerate() {
            if line.chars().count() > LINE_COLUMNS_MAX && !line.contains("r#\"") && !line.contains("http") {
                wrong.push(format!("{}:{}: over {LINE_COLUMNS_MAX} columns", relative(&path), at + 1));
            }
            for (word, instead) in BANNED {
                if line.contains(word) {
                    wrong.push(format!("{}:{}: {word:?}: {instead}", relative(&path), at + 1));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn every_module_says_what_it_is() {
    let mut wrong = Vec::new();
    for path in sources("src") {
        let text = fs::read_to_string(&path).expect("a source file can be read");
        if !text.starts_with("//!") {
            wrong.push(format!("{}: no module documentation at its top", relative(&path)));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn no_float_between_the_feeds_bytes_and_the_orders_bytes() {
    // R-HOT-2. Clippy's float_arithmetic catches arithmetic; this also catches types and literals.
    let mut wrong = Vec::new();
    for path in sources("src") {
        let Some(room) = room(&path) else { continue };
        let hot =
            ["types", "event", "wire", "venue", "feed", "strategy", "signal", "risk", "gateway", "shared"];
        if !hot.contains(&room.as_str()) {
            continue;
        }
        let text = fs::read_to_string(&path).expect("a source file can be read");
        for (at, line) in text.lines().take_while(|l| !l.contains("#[cfg(test)]")).enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            let float = code
                .split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
                .any(|word| word == "f32" || word == "f64");
            if float {
                wrong.push(format!("{}:{}: a float in room {room}", relative(&path), at + 1));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// The makers of what reaches a venue, and the only places that may call them: what the live door is opened with has one maker
/// behind the gates, the door itself one behind a `Destination`, and the sockets below it are made beside it. A second call
/// anywhere in the sources would be a way around (R-GATE-1 to 9).
const DOORS: &[(&str, &[&str])] = &[
    ("WireDoor::new(", &["src/run/wiring.rs"]),
    ("TcpConnector::new(", &["src/run/wiring.rs"]),
    ("door_parts(", &["src/run/wiring.rs"]),
    ("OrderSession::new(", &["src/run/wiring.rs"]),
    ("venue_parts(", &["src/run/edges.rs", "src/run/wiring.rs"]),
    ("Destination::live(", &["src/run/edges.rs"]),
    ("gates::pass(", &["src/run/live.rs"]),
    ("live::clear(", &["src/bin/interlock/entry.rs"]),
    ("Ok(Cleared {", &["src/ops/gates/mod.rs"]),
];

#[test]
fn the_door_to_a_venue_has_one_maker_behind_the_gates() {
    let mut found: Vec<Vec<String>> = vec![Vec::new(); DOORS.len()];
    let mut texts = Vec::new();
    for path in sources("src") {
        let text = fs::read_to_string(&path).expect("a source file can be read");
        let made = text.split("mod tests {").next().unwrap_or_default().to_owned();
        for (at, (maker, _)) in DOORS.iter().enumerate() {
            let calls = made.lines().map(|line| line.split("//").next().unwrap_or_default());
            if calls.into_iter().any(|line| line.contains(maker)) {
                found[at].push(relative(&path));
            }
        }
        texts.push((relative(&path), made));
    }
    for ((maker, places), found) in DOORS.iter().zip(&found) {
        assert_eq!(found, places, "{maker}...) is called where it may not be, or the table is old");
    }
    // Who wires a venue holds a `Destination`, and who makes one for live has used up a `Cleared`.
    let text = |place: &str| &texts.iter().find(|(name, _)| name == place).expect("a source").1;
    let wiring = text("src/run/wiring.rs");
    let signature = wiring.split("pub fn venue_parts(").nth(1).and_then(|rest| rest.split(')').next());
    assert!(signature.is_some_and(|s| s.contains("destination: &Destination")), "{signature:?}");
    assert!(wiring.contains("\nfn door_parts("), "private to its file");
    let destination = text("src/run/destination.rs");
    let signature = destination.split("pub fn live(").nth(1).and_then(|rest| rest.split(')').next());
    assert!(signature.is_some_and(|s| s.contains("cleared: Cleared")), "{signature:?}");
    let gates = text("src/ops/gates/mod.rs");
    let fields = gates.split("pub struct Cleared {").nth(1).and_then(|rest| rest.split('}').next());
    assert!(fields.is_some_and(|f| !f.contains("pub ")), "a field of Cleared that others could fill in");
}
