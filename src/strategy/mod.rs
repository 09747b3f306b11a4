//! Room `strategy`.
