//! Parameters of strategies: declared once with range, default and meaning; what a configuration gives is checked against
//! the declaration, and each error names the place, the value and what would do.

use std::collections::BTreeMap;
use std::fmt;

use crate::types::Cash;

/// One declared parameter.
#[derive(Clone, Copy, Debug)]
pub struct ParamSpec {
    /// Name in the configuration; a unit is last in it.
    pub name: &'static str,
    /// What it means.
    pub help: &'static str,
    /// Type, range and default.
    pub kind: ParamKind,
}

impl fmt::Display for ParamKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int { min, max, default } => write!(f, "{default} ({min} to {max})"),
            Self::Cash { min, max, default } => write!(f, "\"{default}\" ({min} to {max})"),
            Self::Choice { options, default } => write!(f, "\"{default}\" ({})", options.join(", ")),
        }
    }
}

impl fmt::Display for ParamSpec {
    /// As the command line lists it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = {} : {}", self.name, self.kind, self.help)
    }
}

/// A parameter's type, range and default.
#[derive(Clone, Copy, Debug)]
pub enum ParamKind {
    /// A whole number.
    Int {
        /// Least.
        min: i64,
        /// Most.
        max: i64,
        /// When it is not given.
        default: i64,
    },
    /// An amount of money, as decimal text.
    Cash {
        /// Least.
        min: Cash,
        /// Most.
        max: Cash,
        /// When it is not given.
        default: Cash,
    },
    /// One of a few words.
    Choice {
        /// The words.
        options: &'static [&'static str],
        /// When it is not given.
        default: &'static str,
    },
}

impl ParamSpec {
    /// A whole number.
    pub const fn int(name: &'static str, range: (i64, i64), default: i64, help: &'static str) -> Self {
        Self { name, help, kind: ParamKind::Int { min: range.0, max: range.1, default } }
    }
    /// Whole units of the quote currency.
    pub const fn cash(name: &'static str, range: (i64, i64), default: i64, help: &'static str) -> Self {
        let kind = ParamKind::Cash { min: whole(range.0), max: whole(range.1), default: whole(default) };
        Self { name, help, kind }
    }
    /// One of a few words; the first is the default.
    pub const fn choice(name: &'static str, options: &'static [&'static str], help: &'static str) -> Self {
        Self { name, help, kind: ParamKind::Choice { options, default: options[0] } }
    }
    fn default_value(&self) -> ParamValue {
        match self.kind {
            ParamKind::Int { default, .. } => ParamValue::Int(default),
            ParamKind::Cash { default, .. } => ParamValue::Cash(default),
            ParamKind::Choice { default, .. } => ParamValue::Choice(default),
        }
    }
}

const fn whole(units: i64) -> Cash {
    Cash::from_units(units * Cash::ONE.units())
}

/// A checked value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ParamValue {
    Int(i64),
    Cash(Cash),
    Choice(&'static str),
}

/// All parameters of one strategy, checked, defaults filled in.
#[derive(Clone, Debug)]
pub struct Params {
    strategy: &'static str,
    values: Vec<(&'static str, ParamValue)>,
}

/// A parameter, or the name of a strategy, that can't be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ParamError {
    /// No strategy of that name.
    UnknownStrategy {
        /// The name.
        name: String,
        /// The nearest that exists.
        nearest: &'static str,
    },
    /// The strategy declares no such parameter.
    UnknownParam {
        /// The strategy.
        strategy: &'static str,
        /// The name.
        name: String,
        /// The nearest that it declares.
        nearest: &'static str,
    },
    /// Another type was declared.
    WrongType {
        /// The strategy.
        strategy: &'static str,
        /// The parameter.
        name: &'static str,
        /// What was given.
        value: String,
        /// What is wanted.
        wanted: &'static str,
    },
    /// Out of the declared range.
    Range {
        /// The strategy.
        strategy: &'static str,
        /// The parameter.
        name: &'static str,
        /// What was given.
        value: String,
        /// Least.
        min: String,
        /// Most.
        max: String,
    },
    /// Not one of the declared words.
    Choice {
        /// The strategy.
        strategy: &'static str,
        /// The parameter.
        name: &'static str,
        /// What was given.
        value: String,
        /// The words.
        options: &'static [&'static str],
    },
    /// Each is in its range, but they do not fit together.
    Relation {
        /// The strategy.
        strategy: &'static str,
        /// What must hold.
        rule: &'static str,
    },
    /// A strategy reads a parameter that it did not declare, or under another type: our mistake, found at start.
    Undeclared {
        /// The strategy.
        strategy: &'static str,
        /// The parameter.
        name: &'static str,
    },
}

impl fmt::Display for ParamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownStrategy { name, nearest } => {
                write!(f, "there is no strategy {name:?}; did you mean {nearest:?}?")
            }
            Self::UnknownParam { strategy, name, nearest } => {
                write!(f, "{strategy}: there is no parameter {name:?}; did you mean {nearest:?}?")
            }
            Self::WrongType { strategy, name, value, wanted } => {
                write!(f, "{strategy}.{name} = {value}: write {wanted}")
            }
            Self::Range { strategy, name, value, min, max } => {
                write!(f, "{strategy}.{name} = {value} is out of range {min} to {max}")
            }
            Self::Choice { strategy, name, value, options } => {
                write!(f, "{strategy}.{name} = {value:?}: write one of {}", options.join(", "))
            }
            Self::Relation { strategy, rule } => write!(f, "{strategy}: {rule}"),
            Self::Undeclared { strategy, name } => {
                write!(f, "{strategy} reads a parameter {name:?} that it does not declare; report this")
            }
        }
    }
}

impl std::error::Error for ParamError {}

/// The nearest of a few names to a misspelt one.
pub(super) fn nearest(name: &str, names: impl Iterator<Item = &'static str>) -> &'static str {
    names.min_by_key(|known| strsim::levenshtein(name, known)).unwrap_or_default()
}

impl Params {
    /// Checks what a configuration gives against what a strategy declares.
    pub fn read(
        strategy: &'static str,
        specs: &'static [ParamSpec],
        given: &BTreeMap<String, toml::Value>,
    ) -> Result<Self, ParamError> {
        if let Some(name) = given.keys().find(|name| !specs.iter().any(|spec| spec.name == *name)) {
            let nearest = nearest(name, specs.iter().map(|spec| spec.name));
            return Err(ParamError::UnknownParam { strategy, name: name.clone(), nearest });
        }
        let mut values = Vec::with_capacity(specs.len());
        for spec in specs {
            let value = match given.get(spec.name) {
                None => spec.default_value(),
                Some(value) => checked(strategy, spec, value)?,
            };
            values.push((spec.name, value));
        }
        Ok(Self { strategy, values })
    }

    fn get(&self, name: &'static str) -> Option<ParamValue> {
        self.values.iter().find(|(there, _)| *there == name).map(|(_, value)| *value)
    }
    fn undeclared(&self, name: &'static str) -> ParamError {
        ParamError::Undeclared { strategy: self.strategy, name }
    }
    /// A whole number.
    pub fn int(&self, name: &'static str) -> Result<i64, ParamError> {
        match self.get(name) {
            Some(ParamValue::Int(value)) => Ok(value),
            _ => Err(self.undeclared(name)),
        }
    }
    /// A whole number of things.
    pub fn count(&self, name: &'static str) -> Result<usize, ParamError> {
        usize::try_from(self.int(name)?).map_err(|_| self.undeclared(name))
    }
    /// Milliseconds, as nanoseconds.
    pub fn ms(&self, name: &'static str) -> Result<i64, ParamError> {
        self.int(name)?.checked_mul(crate::types::time::NS_PER_MS).ok_or_else(|| self.undeclared(name))
    }
    /// An amount of money.
    pub fn cash(&self, name: &'static str) -> Result<Cash, ParamError> {
        match self.get(name) {
            Some(ParamValue::Cash(value)) => Ok(value),
            _ => Err(self.undeclared(name)),
        }
    }
    /// A word.
    pub fn choice(&self, name: &'static str) -> Result<&'static str, ParamError> {
        match self.get(name) {
            Some(ParamValue::Choice(value)) => Ok(value),
            _ => Err(self.undeclared(name)),
        }
    }
    /// That something holds between parameters.
    pub fn require(&self, holds: bool, rule: &'static str) -> Result<(), ParamError> {
        if holds { Ok(()) } else { Err(ParamError::Relation { strategy: self.strategy, rule }) }
    }
}

fn checked(strategy: &'static str, spec: &ParamSpec, given: &toml::Value) -> Result<ParamValue, ParamError> {
    let name = spec.name;
    let wrong = |wanted| ParamError::WrongType { strategy, name, value: given.to_string(), wanted };
    let range =
        |value: String, min: String, max: String| ParamError::Range { strategy, name, value, min, max };
    match spec.kind {
        ParamKind::Int { min, max, .. } => {
            let value = given.as_integer().ok_or_else(|| wrong("a whole number"))?;
            if value < min || value > max {
                return Err(range(value.to_string(), min.to_string(), max.to_string()));
            }
            Ok(ParamValue::Int(value))
        }
        ParamKind::Cash { min, max, .. } => {
            // A TOML number with decimals is a float, and money does not pass through one.
            let text = match given {
                toml::Value::String(text) => text.clone(),
                toml::Value::Integer(whole) => whole.to_string(),
                _ => return Err(wrong("an amount as text, \"12.50\"")),
            };
            let value = Cash::parse(text.as_bytes()).map_err(|_| wrong("an amount as text, \"12.50\""))?;
            if value < min || value > max {
                return Err(range(value.to_string(), min.to_string(), max.to_string()));
            }
            Ok(ParamValue::Cash(value))
        }
        ParamKind::Choice { options, .. } => {
            let word = given.as_str().ok_or_else(|| wrong("a word"))?;
            match options.iter().find(|option| **option == word) {
                Some(option) => Ok(ParamValue::Choice(option)),
                None => Err(ParamError::Choice { strategy, name, value: word.to_owned(), options }),
            }
        }
    }
}
