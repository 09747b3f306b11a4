//! Room `risk`.
