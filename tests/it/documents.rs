//! Figures that a document takes from a table of the source. Whoever adds a line to the table learns here which sentence is no
//! longer true. (Links and the table of rooms are looked after by `tests/tidy.rs`.)

use std::collections::BTreeMap;
use std::path::Path;

use interlock::ops::gates::GATES;
use interlock::ops::readiness::CONDITIONS;
use interlock::risk::CHECKS;
use interlock::run::drill::DRILLS;

/// Document, the sentence with `{}` where its figure stands, the figure.
fn counts() -> [(&'static str, &'static str, usize); 4] {
    [
        ("README.md", "| all {} risk checks |", CHECKS.len()),
        ("README.md", "**Live is behind {} gates**", GATES.len()),
        ("README.md", "rehearses {} emergencies", DRILLS.len()),
        ("README.md", "readiness by {} conditions", CONDITIONS.len()),
    ]
}

#[test]
fn documents_count_what_the_tables_hold() {
    let mut wrong = Vec::new();
    for (document, sentence, count) in counts() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(document);
        // A sentence may go over a line's end.
        let text = std::fs::read_to_string(path).unwrap().split_whitespace().collect::<Vec<_>>().join(" ");
        let expected = sentence.replace("{}", &count.to_string());
        if !text.contains(&expected) {
            wrong.push(format!("{document}: nowhere does it say {expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// The commands below a command, as its help lists them; none if it has none.
fn commands(of: &[&str]) -> Vec<String> {
    let output =
        std::process::Command::new(env!("CARGO_BIN_EXE_interlock")).args(of).arg("--help").output().unwrap();
    assert!(output.status.success(), "{of:?} --help");
    let help = String::from_utf8(output.stdout).unwrap();
    let listed = help.split_once("Commands:\n").map(|(_, rest)| rest).unwrap_or_default();
    let entries =
        listed.lines().take_while(|line| !line.is_empty()).filter_map(|line| line.strip_prefix("  "));
    entries
        .filter(|entry| !entry.starts_with(' '))
        .filter_map(|entry| Some(entry.split_whitespace().next()?.to_owned()))
        .collect()
}

/// The first two words of each command that a text names: `interlock`, and lower-case words behind it.
fn named(text: &str) -> Vec<Vec<&str>> {
    let is_word = |word: &&str| {
        word.starts_with(|c: char| c.is_ascii_lowercase())
            && word.chars().all(|c| c.is_ascii_lowercase() || c == '-')
    };
    let ends = |c: char| !(c.is_ascii_lowercase() || matches!(c, '-' | ' '));
    let mut found = Vec::new();
    for (at, _) in text.match_indices("interlock ") {
        // Not the end of another word, or of a path.
        if text[..at].ends_with(|c: char| c.is_alphanumeric() || matches!(c, '/' | '-' | '_')) {
            continue;
        }
        let rest = &text[at + "interlock ".len()..];
        let words = rest.split(ends).next().unwrap_or_default().split(' ').take_while(is_word).take(2);
        found.push(words.collect());
    }
    found
}

fn texts(folder: &Path, ending: &str, found: &mut Vec<(String, String)>) {
    for entry in std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()) {
        if entry.is_dir() {
            texts(&entry, ending, found);
        } else if entry.extension().is_some_and(|e| e == ending) {
            found.push((entry.display().to_string(), std::fs::read_to_string(&entry).unwrap()));
        }
    }
}

/// Documents, configuration files, and the remedies in our own messages (there between backquotes) name commands that exist.
#[test]
fn commands_that_are_named_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut all = Vec::new();
    texts(&root.join("docs"), "md", &mut all);
    texts(&root.join("config"), "toml", &mut all);
    all.push(("README.md".to_owned(), std::fs::read_to_string(root.join("README.md")).unwrap()));
    let mut sources = Vec::new();
    texts(&root.join("src"), "rs", &mut sources);
    for (path, text) in sources {
        let quoted: Vec<&str> = text.split('`').filter(|piece| piece.starts_with("interlock ")).collect();
        all.push((path, quoted.join("\n")));
    }
    let verbs: Vec<String> = commands(&[]).into_iter().filter(|verb| verb != "help").collect();
    let below: BTreeMap<&str, Vec<String>> =
        verbs.iter().map(|verb| (verb.as_str(), commands(&[verb]))).collect();
    let mut wrong = Vec::new();
    let mut seen = 0;
    for (path, text) in &all {
        for words in named(text) {
            let Some((verb, rest)) = words.split_first() else { continue };
            seen += 1;
            let is_there = below.get(verb).is_some_and(|below| {
                below.is_empty() || rest.first().is_none_or(|word| below.iter().any(|known| known == word))
            });
            if !is_there {
                wrong.push(format!("{path}: there is no `interlock {}`", words.join(" ")));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    assert!(seen > 50, "only {seen} commands were found");
}
