//! Recordings of a venue's market streams: gzip files of `<receive ns> <json>` lines, where the JSON is a combined-stream
//! message or the answer of `GET /depth`. Read line by line, several files merged by receive time; nothing is held but
//! one line a file.
//!
//! What it refuses: a line that is neither, a time that runs backwards within a file, a file that ends in the middle of
//! its compression. Each is an error that names file and line, because a recording that is silently short is worse than none.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use serde::Deserialize;

use crate::types::{Level, Price, Qty, Symbol};

/// How fast a recording is played.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Speed {
    /// As it was received.
    #[default]
    Original,
    /// As fast as the slowest subscriber reads.
    Full,
}

/// Which time a replayed venue shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum RecordingClock {
    /// Receive times are moved to now. The recorder's clock error stays visible: where it ran behind the venue, the venue runs
    /// ahead of now by as much.
    #[default]
    Shifted,
    /// Event times are moved to now: no clock error.
    Aligned,
    /// Recorded times are shown unchanged; candles then fall where they fell.
    Recorded,
}

/// A recording to play.
#[derive(Clone, Debug, Default)]
pub struct RecordingConfig {
    /// The files; of one symbol each, in any order.
    pub files: Vec<PathBuf>,
    /// Candle files (`open_time_ms,open,high,low,close,volume`, gzip) that give the history before the start, each with its
    /// symbol.
    pub klines: Vec<(String, PathBuf)>,
    /// How fast.
    pub speed: Speed,
    /// Which time.
    pub clock: RecordingClock,
}

/// Nothing before the first line.
fn at_line(line: u64) -> String {
    if line == 0 { String::new() } else { format!(", line {line}") }
}

/// Why a recording can't be played.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// A file can't be opened or read.
    #[error("recording {}{}: {source}", path.display(), at_line(*line))]
    Io {
        /// The file.
        path: PathBuf,
        /// The line that was being read.
        line: u64,
        /// What the system says.
        source: std::io::Error,
    },
    /// A line that is not of a recording.
    #[error("recording {path}, line {line}: {what}")]
    Line {
        /// The file.
        path: PathBuf,
        /// The line.
        line: u64,
        /// What is wrong.
        what: String,
    },
    /// No files.
    #[error("a recording needs at least one file")]
    Empty,
}

/// What a line is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// A stream message: the stream's name and the text of its `data`.
    Stream {
        /// As recorded, `btcusdt@trade`.
        stream: String,
        /// JSON.
        data: String,
    },
    /// An answer of `GET /depth`.
    Snapshot {
        /// JSON.
        text: String,
    },
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedLine {
    /// When the recorder had received it.
    pub recv_ns: i64,
    /// Of which symbol, upper case.
    pub symbol: Symbol,
    /// What.
    pub record: Record,
}

struct Source {
    path: PathBuf,
    lines: BufReader<MultiGzDecoder<File>>,
    line: u64,
    symbol: Symbol,
    head: Option<RecordedLine>,
    last_ns: i64,
}

impl Source {
    fn open(path: &Path) -> Result<Self, RecordingError> {
        let symbol = symbol_of(path)?;
        let mut source = Self {
            path: path.to_owned(),
            lines: decoder(path)?,
            line: 0,
            symbol,
            head: None,
            last_ns: i64::MIN,
        };
        source.advance()?;
        Ok(source)
    }

    fn wrong(&self, what: impl Into<String>) -> RecordingError {
        RecordingError::Line { path: self.path.clone(), line: self.line, what: what.into() }
    }

    fn advance(&mut self) -> Result<(), RecordingError> {
        let mut text = String::new();
        self.line += 1;
        let read = self.lines.read_line(&mut text);
        let path = &self.path;
        let n = read.map_err(|source| RecordingError::Io { path: path.clone(), line: self.line, source })?;
        if n == 0 {
            self.head = None;
            return Ok(());
        }
        let (recv_ns, json) = split(&text).ok_or_else(|| self.wrong("not `<receive ns> <json>`"))?;
        if recv_ns < self.last_ns {
            return Err(self.wrong("time runs backwards"));
        }
        self.last_ns = recv_ns;
        let record = match parse_stream(json) {
            Some((stream, data)) => Record::Stream { stream: stream.to_owned(), data: data.to_owned() },
            None if json.starts_with("{\"lastUpdateId\":") => Record::Snapshot { text: json.to_owned() },
            None => return Err(self.wrong("neither a combined-stream message nor a depth answer")),
        };
        self.head = Some(RecordedLine { recv_ns, symbol: self.symbol, record });
        Ok(())
    }
}

fn decoder(path: &Path) -> Result<BufReader<MultiGzDecoder<File>>, RecordingError> {
    let file =
        File::open(path).map_err(|source| RecordingError::Io { path: path.to_owned(), line: 0, source })?;
    Ok(BufReader::with_capacity(64 << 10, MultiGzDecoder::new(file)))
}

fn split(text: &str) -> Option<(i64, &str)> {
    let (time, json) = text.trim_end().split_once(' ')?;
    Some((time.parse().ok()?, json))
}

/// The stream's name and the text of `data` of a combined-stream message.
fn parse_stream(json: &str) -> Option<(&str, &str)> {
    let (stream, rest) = json.strip_prefix("{\"stream\":\"")?.split_once('"')?;
    let data = rest.strip_prefix(",\"data\":")?.strip_suffix('}')?;
    data.starts_with('{').then_some((stream, data))
}

/// The symbol of a file: that of its first stream message.
fn symbol_of(path: &Path) -> Result<Symbol, RecordingError> {
    for (at, text) in decoder(path)?.lines().take(1_000).enumerate() {
        let line = at as u64 + 1;
        let text = text.map_err(|source| RecordingError::Io { path: path.to_owned(), line, source })?;
        let found = split(&text).and_then(|(_, json)| parse_stream(json));
        if let Some(symbol) = found.and_then(|(stream, _)| symbol_of_stream(stream)) {
            return Ok(symbol);
        }
    }
    let what = "no stream message in the first 1,000 lines".to_owned();
    Err(RecordingError::Line { path: path.to_owned(), line: 1, what })
}

fn symbol_of_stream(stream: &str) -> Option<Symbol> {
    let (symbol, _) = stream.split_once('@')?;
    Symbol::new(symbol.to_ascii_uppercase().as_bytes())
}

/// A recording that is being read.
pub struct Recording {
    sources: Vec<Source>,
}

impl std::fmt::Debug for Recording {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.sources.iter().map(|s| (&s.path, s.line))).finish()
    }
}

impl Recording {
    /// Opens the files.
    pub fn open(files: &[PathBuf]) -> Result<Self, RecordingError> {
        if files.is_empty() {
            return Err(RecordingError::Empty);
        }
        let sources = files.iter().map(|f| Source::open(f)).collect::<Result<_, _>>()?;
        Ok(Self { sources })
    }

    /// The symbols in it, each once.
    pub fn symbols(&self) -> Vec<Symbol> {
        let mut symbols: Vec<Symbol> = self.sources.iter().map(|s| s.symbol).collect();
        symbols.sort_unstable();
        symbols.dedup();
        symbols
    }

    /// Receive time of the next line.
    pub fn next_ns(&self) -> Option<i64> {
        self.sources.iter().filter_map(|s| s.head.as_ref()).map(|l| l.recv_ns).min()
    }

    /// The next line of all files; `None` at the end.
    pub fn next_line(&mut self) -> Result<Option<RecordedLine>, RecordingError> {
        let first = self
            .sources
            .iter_mut()
            .filter(|s| s.head.is_some())
            .min_by_key(|s| s.head.as_ref().map(|l| l.recv_ns));
        let Some(source) = first else { return Ok(None) };
        let line = source.head.take();
        source.advance()?;
        Ok(line)
    }
}

/// What the beginning of a recording tells.
#[derive(Clone, Debug)]
pub struct Prelude {
    /// Receive time of the first line.
    pub first_ns: i64,
    /// How far the venue's clock is ahead of the recorder's: event time minus receive time of the first event.
    pub skew_ns: i64,
    /// The first depth answer of each symbol.
    pub snapshots: Vec<(Symbol, Snapshot)>,
}

/// A depth answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// `lastUpdateId`.
    pub last_update_id: u64,
    /// Best first.
    pub bids: Vec<Level>,
    /// Best first.
    pub asks: Vec<Level>,
}

#[derive(Deserialize)]
struct SnapshotText<'a> {
    #[serde(rename = "lastUpdateId")]
    last_update_id: u64,
    #[serde(borrow)]
    bids: Vec<(&'a str, &'a str)>,
    #[serde(borrow)]
    asks: Vec<(&'a str, &'a str)>,
}

/// Levels from pairs of decimal texts.
pub(crate) fn levels(pairs: &[(&str, &str)]) -> Result<Vec<Level>, String> {
    let level = |(p, q): &(&str, &str)| {
        let price = Price::parse(p.as_bytes()).map_err(|e| format!("price {p:?}: {e}"))?;
        let qty = Qty::parse(q.as_bytes()).map_err(|e| format!("quantity {q:?}: {e}"))?;
        Ok(Level { price, qty })
    };
    pairs.iter().map(level).collect()
}

impl Snapshot {
    /// From the text of a depth answer.
    pub fn parse(text: &str) -> Result<Self, String> {
        let raw: SnapshotText<'_> = serde_json::from_str(text).map_err(|e| format!("depth answer: {e}"))?;
        Ok(Self { last_update_id: raw.last_update_id, bids: levels(&raw.bids)?, asks: levels(&raw.asks)? })
    }
}

/// Lines that are looked through for the beginning of a recording.
const PRELUDE_LINES_MAX: usize = 5_000;

impl Prelude {
    /// Reads the beginning of the files.
    pub fn read(files: &[PathBuf]) -> Result<Self, RecordingError> {
        let mut recording = Recording::open(files)?;
        let symbols = recording.symbols();
        let first_ns = recording.next_ns().ok_or(RecordingError::Empty)?;
        let mut prelude = Self { first_ns, skew_ns: 0, snapshots: Vec::new() };
        let mut skew_known = false;
        for _ in 0..PRELUDE_LINES_MAX {
            let Some(line) = recording.next_line()? else { break };
            match &line.record {
                Record::Stream { data, .. } => {
                    if let Some(event_ms) = event_time_ms(data)
                        && !skew_known
                    {
                        prelude.skew_ns = event_ms * 1_000_000 - line.recv_ns;
                        skew_known = true;
                    }
                }
                Record::Snapshot { text } => {
                    if !prelude.snapshots.iter().any(|(s, _)| *s == line.symbol) {
                        let path = files[0].clone();
                        let snapshot = Snapshot::parse(text).map_err(|what| RecordingError::Line {
                            path,
                            line: 0,
                            what,
                        })?;
                        prelude.snapshots.push((line.symbol, snapshot));
                    }
                }
            }
            if skew_known && prelude.snapshots.len() == symbols.len() {
                break;
            }
        }
        Ok(prelude)
    }
}

/// Where a number that follows `key` stands in `data`.
fn number_after(data: &str, key: &str) -> Option<(usize, usize)> {
    let start = data.find(key)? + key.len();
    let len = data[start..].bytes().take_while(u8::is_ascii_digit).count();
    (len > 0).then_some((start, start + len))
}

/// The event time of a stream message.
pub fn event_time_ms(data: &str) -> Option<i64> {
    let (start, end) = number_after(data, "\"E\":")?;
    data[start..end].parse().ok()
}

/// The message with its event and trade time moved by `shift_ns` and shown in milliseconds or microseconds.
pub fn with_shifted_times(data: &str, shift_ns: i64, micro: bool) -> String {
    let mut out = data.to_owned();
    if shift_ns == 0 && !micro {
        return out;
    }
    for key in ["\"E\":", "\"T\":"] {
        let Some((start, end)) = number_after(&out, key) else { continue };
        let Ok(ms) = out[start..end].parse::<i64>() else { continue };
        let ns = ms.saturating_mul(1_000_000).saturating_add(shift_ns);
        let shown = if micro { ns / 1_000 } else { ns / 1_000_000 };
        out.replace_range(start..end, &shown.to_string());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compression, write::GzEncoder};
    use std::io::Write;

    fn gz(name: &str, text: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("interlock-recording-{}-{name}.gz", std::process::id()));
        let mut out = GzEncoder::new(File::create(&path).unwrap(), Compression::fast());
        out.write_all(text.as_bytes()).unwrap();
        out.finish().unwrap();
        path
    }

    #[test]
    fn files_are_merged_by_receive_time() {
        let a = gz(
            "a",
            "1 {\"stream\":\"aaa@trade\",\"data\":{\"E\":1}}\n5 {\"stream\":\"aaa@trade\",\"data\":{}}\n",
        );
        let b = gz(
            "b",
            "2 {\"stream\":\"bbb@trade\",\"data\":{}}\n3 {\"lastUpdateId\":7,\"bids\":[],\"asks\":[]}\n",
        );
        let files = [a, b];
        let mut recording = Recording::open(&files).unwrap();
        let mut times = Vec::new();
        while let Some(line) = recording.next_line().unwrap() {
            times.push((line.recv_ns, line.symbol.as_str().to_owned()));
        }
        let named: Vec<(i64, &str)> = times.iter().map(|(t, s)| (*t, s.as_str())).collect();
        assert_eq!(named, [(1, "AAA"), (2, "BBB"), (3, "BBB"), (5, "AAA")]);
        let prelude = Prelude::read(&files).unwrap();
        assert_eq!((prelude.first_ns, prelude.skew_ns, prelude.snapshots.len()), (1, 999_999, 1));
        assert_eq!(prelude.snapshots[0].1.last_update_id, 7);
        for file in &files {
            std::fs::remove_file(file).unwrap();
        }
    }

    #[test]
    fn bad_lines_are_named() {
        let good = "1 {\"stream\":\"aaa@trade\",\"data\":{}}\n";
        for (name, bad, what) in [
            ("c", "x {}\n", "not `<receive ns> <json>`"),
            ("d", "2 {\"result\":null}\n", "neither"),
            ("e", "0 {\"stream\":\"aaa@trade\",\"data\":{}}\n", "backwards"),
        ] {
            let path = gz(name, &format!("{good}{bad}"));
            // The second line is read when the first is taken.
            let error =
                Recording::open(std::slice::from_ref(&path)).unwrap().next_line().unwrap_err().to_string();
            assert!(error.contains("line 2") && error.contains(what), "{error}");
            std::fs::remove_file(path).unwrap();
        }
        assert!(matches!(Recording::open(&[]), Err(RecordingError::Empty)));
        assert!(Recording::open(&[PathBuf::from("/nonexistent.gz")]).is_err());
    }

    #[test]
    fn times_are_moved_and_scaled() {
        let data = r#"{"e":"trade","E":1000,"s":"X","t":5,"p":"1","q":"1","T":999,"m":true,"M":true}"#;
        let moved = with_shifted_times(data, 2_000_000, false);
        assert!(moved.contains("\"E\":1002,") && moved.contains("\"T\":1001,") && moved.contains("\"t\":5,"));
        let micro = with_shifted_times(data, 1_000, true);
        assert!(micro.contains("\"E\":1000001,") && micro.contains("\"T\":999001,"));
        assert_eq!(with_shifted_times(data, 0, false), data);
    }
}
