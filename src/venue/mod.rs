//! Room `venue`.
