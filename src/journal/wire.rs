//! How a value becomes journal bytes, comes back, and is shown: one list of fields or variants per type gives all three, so
//! that they can't drift apart. Little-endian, explicit, no float. Decoding is strict: every byte string is either the
//! encoding of exactly one value or an error that says what and where.

use serde_json::{Map, Value};

/// Why bytes are not a record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The payload ends inside a field.
    #[error("the payload ends inside {what}")]
    Short {
        /// What was being read.
        what: &'static str,
    },
    /// A tag or flag that no value has.
    #[error("{value} is not a {what}")]
    BadTag {
        /// What was being read.
        what: &'static str,
        /// What stood there.
        value: u64,
    },
    /// Bytes behind the end of the value.
    #[error("{bytes} bytes too many behind a {what}")]
    Trailing {
        /// What was read.
        what: &'static str,
        /// How many are left.
        bytes: usize,
    },
    /// A record type that this version does not know.
    #[error(
        "record type {kind} is not known to this version; read the journal with the version that wrote it"
    )]
    UnknownType {
        /// The type.
        kind: u16,
    },
    /// A record version that this version does not know.
    #[error(
        "record type {name} has version {version}, and this version reads 1; use the version that wrote it"
    )]
    UnknownVersion {
        /// Name of the type.
        name: &'static str,
        /// The version.
        version: u8,
    },
    /// The JSON of a cold record is not what it should be.
    #[error("{what} record: {why}")]
    Json {
        /// Which type.
        what: &'static str,
        /// The parser's words.
        why: String,
    },
}

/// A cursor over a payload.
#[derive(Debug)]
pub struct Input<'a> {
    rest: &'a [u8],
}

impl<'a> Input<'a> {
    /// Over these bytes.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }
    /// The next `N` bytes.
    #[inline]
    pub fn take<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], DecodeError> {
        let (bytes, rest) = self.rest.split_first_chunk::<N>().ok_or(DecodeError::Short { what })?;
        self.rest = rest;
        Ok(*bytes)
    }
    /// Nothing may be left.
    pub const fn finish(&self, what: &'static str) -> Result<(), DecodeError> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(DecodeError::Trailing { what, bytes: self.rest.len() })
        }
    }
}

/// A value of the journal's binary vocabulary.
pub trait Wire: Sized {
    /// Appends the encoding.
    fn put(&self, out: &mut Vec<u8>);
    /// Reads one back.
    fn get(input: &mut Input<'_>) -> Result<Self, DecodeError>;
    /// The value for `cat`: decimal text for amounts, names for enumerations.
    fn json(&self) -> Value;
    /// Adds the value to an object; a structure adds its fields one by one.
    fn json_into(&self, key: &str, object: &mut Map<String, Value>) {
        object.insert(key.to_owned(), self.json());
    }
}

macro_rules! wire_integers {
    ($($int:ty)*) => {$(
        impl Wire for $int {
            #[inline]
            fn put(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }
            #[inline]
            fn get(input: &mut Input<'_>) -> Result<Self, DecodeError> {
                input.take(stringify!($int)).map(<$int>::from_le_bytes)
            }
            fn json(&self) -> Value {
                Value::from(*self)
            }
        }
    )*};
}
wire_integers!(u8 u16 u32 u64 i32 i64);

impl Wire for bool {
    #[inline]
    fn put(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }
    #[inline]
    fn get(input: &mut Input<'_>) -> Result<Self, DecodeError> {
        match u8::get(input)? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(DecodeError::BadTag { what: "truth value", value: u64::from(other) }),
        }
    }
    fn json(&self) -> Value {
        Value::from(*self)
    }
}

impl<T: Wire + Copy + Default, const N: usize> Wire for [T; N] {
    #[inline]
    fn put(&self, out: &mut Vec<u8>) {
        for value in self {
            value.put(out);
        }
    }
    #[inline]
    fn get(input: &mut Input<'_>) -> Result<Self, DecodeError> {
        let mut all = [T::default(); N];
        for value in &mut all {
            *value = T::get(input)?;
        }
        Ok(all)
    }
    fn json(&self) -> Value {
        Value::Array(self.iter().map(Wire::json).collect())
    }
}

/// A newtype that is stored as the integer inside and shown by its own `Display`, or as a number.
macro_rules! wire_newtypes {
    (number: $($name:ty = $int:ty),* $(,)?) => {$(
        impl $crate::journal::wire::Wire for $name {
            #[inline]
            fn put(&self, out: &mut Vec<u8>) {
                self.0.put(out);
            }
            #[inline]
            fn get(input: &mut $crate::journal::wire::Input<'_>) -> Result<Self, $crate::journal::wire::DecodeError> {
                <$int>::get(input).map(Self)
            }
            fn json(&self) -> serde_json::Value {
                serde_json::Value::from(self.0)
            }
        }
    )*};
    (text: $($name:ty),* $(,)?) => {$(
        impl $crate::journal::wire::Wire for $name {
            #[inline]
            fn put(&self, out: &mut Vec<u8>) {
                self.units().put(out);
            }
            #[inline]
            fn get(input: &mut $crate::journal::wire::Input<'_>) -> Result<Self, $crate::journal::wire::DecodeError> {
                i64::get(input).map(Self::from_units)
            }
            fn json(&self) -> serde_json::Value {
                serde_json::Value::from(self.to_string())
            }
        }
    )*};
}
pub(crate) use wire_newtypes;

/// A structure: its fields in the order of the list. A field that the list lacks does not compile.
macro_rules! wire_struct {
    ($name:ident { $($field:ident),* $(,)? }) => {
        impl $crate::journal::wire::Wire for $name {
            #[inline]
            fn put(&self, out: &mut Vec<u8>) {
                let Self { $($field),* } = self;
                $($field.put(out);)*
            }
            #[inline]
            fn get(input: &mut $crate::journal::wire::Input<'_>) -> Result<Self, $crate::journal::wire::DecodeError> {
                $(let $field = $crate::journal::wire::Wire::get(input)?;)*
                Ok(Self { $($field),* })
            }
            fn json(&self) -> serde_json::Value {
                let mut object = serde_json::Map::new();
                self.json_into("", &mut object);
                serde_json::Value::Object(object)
            }
            fn json_into(&self, key: &str, object: &mut serde_json::Map<String, serde_json::Value>) {
                if key.is_empty() {
                    $(object.insert(stringify!($field).to_owned(), self.$field.json());)*
                } else {
                    object.insert(key.to_owned(), self.json());
                }
            }
        }
    };
}
pub(crate) use wire_struct;

/// An enumeration without contents: number in the journal and name in `cat`, both fixed here for good.
macro_rules! wire_enum {
    ($name:ident, $what:literal { $($tag:literal = $variant:ident $text:literal),* $(,)? }) => {
        impl $crate::journal::wire::Wire for $name {
            #[inline]
            fn put(&self, out: &mut Vec<u8>) {
                out.push(match self { $(Self::$variant => $tag,)* });
            }
            #[inline]
            fn get(input: &mut $crate::journal::wire::Input<'_>) -> Result<Self, $crate::journal::wire::DecodeError> {
                match u8::get(input)? {
                    $($tag => Ok(Self::$variant),)*
                    other => Err($crate::journal::wire::DecodeError::BadTag { what: $what, value: u64::from(other) }),
                }
            }
            fn json(&self) -> serde_json::Value {
                serde_json::Value::from(match self { $(Self::$variant => $text,)* })
            }
        }
    };
}
pub(crate) use wire_enum;
