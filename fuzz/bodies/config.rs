//! Configuration text: an error names file, and line where there is one; what is taken reads back as itself.

use std::path::PathBuf;

use interlock::run::plan::{ConfigError, from_texts};

/// Any text as a configuration file.
pub(crate) fn config(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let name = PathBuf::from("fuzz.toml");
    match from_texts(&[(name.clone(), text.to_owned())]) {
        Ok(plan) => {
            let again = from_texts(&[(name, plan.to_toml())]).expect("what we print we read");
            assert_eq!(again, plan, "the effective configuration reads back as itself");
            assert_eq!(again.hash(), plan.hash());
        }
        Err(error) => {
            let message = error.to_string();
            match error {
                ConfigError::Malformed { line, .. } | ConfigError::UnknownKey { line, .. } => {
                    assert!(message.starts_with(&format!("fuzz.toml:{line}: ")), "{message}");
                    assert!(line >= 1 && line <= text.matches('\n').count() + 1, "{message}");
                }
                ConfigError::OutOfRange { found, min, max, .. } => {
                    assert!(found < min || found > max, "{message}");
                }
                ConfigError::Inconsistent(why) => assert!(!why.is_empty()),
                ConfigError::Unreadable { .. } | ConfigError::TooLarge { .. } => {
                    panic!("no file is read here: {message}")
                }
            }
        }
    }
}
