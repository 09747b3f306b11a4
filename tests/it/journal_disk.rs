//! A disk in memory that loses power: what was not synced is lost, kept, torn by sectors, or turned into garbage, and any
//! call can fail. It keeps Linux's worst habit: after a failed sync the pages count as clean, so a second sync "succeeds"
//! and keeps nothing of them.
#![expect(clippy::disallowed_types, reason = "a test double may lock; no path of the engine goes through it")]

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use interlock::journal::{Disk, DiskFile};
use rand::rngs::SmallRng;
use rand::{Rng, RngCore};

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The call fails with this error of the system.
    Errno(i32),
    /// A write takes only part of the bytes; other calls work.
    Short,
    /// Power goes before the call takes effect.
    FreezeBefore,
    /// Power goes after it.
    FreezeAfter,
}

/// Which calls count towards the n-th.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Count {
    /// Every call that changes something or makes it durable.
    All,
    /// Syncs only, of files and directories.
    Syncs,
}

#[derive(Clone, Debug)]
enum Change {
    Write { offset: usize, bytes: Vec<u8> },
    SetLen(usize),
}

#[derive(Clone, Debug, Default)]
struct Inode {
    /// What a reader sees.
    now: Vec<u8>,
    /// What survives for certain.
    durable: Vec<u8>,
    /// What may.
    pending: Vec<Change>,
}

#[derive(Clone, Debug, Default)]
struct State {
    inodes: Vec<Inode>,
    entries: BTreeMap<PathBuf, usize>,
    durable_entries: BTreeMap<PathBuf, usize>,
    dirs: BTreeSet<PathBuf>,
    calls: u64,
    syncs: u64,
    fault: Option<(Count, u64, Fault)>,
    fault_hit: bool,
    frozen: bool,
    syncs_after_fault: u64,
}

type SyncHook = Box<dyn FnMut(u64) + Send>;

/// The disk. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct SimDisk {
    state: Arc<Mutex<State>>,
    on_sync: Arc<Mutex<Option<SyncHook>>>,
    on_read: Arc<Mutex<Option<SyncHook>>>,
    reads: Arc<Mutex<u64>>,
}

impl std::fmt::Debug for SimDisk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SimDisk")
    }
}

/// How the unsynced part looks after the crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Crash {
    /// Lost.
    Lost,
    /// All kept.
    Kept,
    /// By sectors of this size, at random: old, new, zero or garbage; directory entries old or new.
    Torn(usize),
}

fn power_is_off() -> io::Error {
    io::Error::other("power is off")
}

impl SimDisk {
    pub(crate) fn with_fault(count: Count, nth: u64, fault: Fault) -> Self {
        let disk = Self::default();
        disk.set_fault(count, nth, fault);
        disk
    }
    pub(crate) fn set_fault(&self, count: Count, nth: u64, fault: Fault) {
        let mut state = self.state.lock().unwrap();
        state.fault = Some((count, nth, fault));
        state.fault_hit = false;
        (state.calls, state.syncs, state.syncs_after_fault) = (0, 0, 0);
    }
    /// Whether the planned fault happened.
    pub(crate) fn fault_hit(&self) -> bool {
        self.state.lock().unwrap().fault_hit
    }
    pub(crate) fn syncs_after_fault(&self) -> u64 {
        self.state.lock().unwrap().syncs_after_fault
    }
    /// Called within each file sync with its number, before it takes effect.
    pub(crate) fn on_sync(&self, hook: impl FnMut(u64) + Send + 'static) {
        *self.on_sync.lock().unwrap() = Some(Box::new(hook));
    }
    /// Called before each read of a file with its number.
    pub(crate) fn on_read(&self, hook: impl FnMut(u64) + Send + 'static) {
        *self.reads.lock().unwrap() = 0;
        *self.on_read.lock().unwrap() = Some(Box::new(hook));
    }
    /// A file's bytes as a reader sees them.
    pub(crate) fn bytes(&self, path: &Path) -> Vec<u8> {
        let state = self.state.lock().unwrap();
        state.entries.get(path).map(|&i| state.inodes[i].now.clone()).unwrap_or_default()
    }
    /// Puts a file there, durable.
    pub(crate) fn put(&self, path: &Path, bytes: &[u8]) {
        let mut state = self.state.lock().unwrap();
        let at = state.inodes.len();
        state.inodes.push(Inode { now: bytes.to_vec(), durable: bytes.to_vec(), pending: Vec::new() });
        state.entries.insert(path.to_owned(), at);
        state.durable_entries.insert(path.to_owned(), at);
        if let Some(dir) = path.parent() {
            state.dirs.insert(dir.to_owned());
        }
    }
    /// A disk with the same content and no faults.
    pub(crate) fn copy(&self) -> Self {
        let state = self.state.lock().unwrap();
        let fresh = State {
            inodes: state.inodes.clone(),
            entries: state.entries.clone(),
            durable_entries: state.durable_entries.clone(),
            dirs: state.dirs.clone(),
            ..State::default()
        };
        Self { state: Arc::new(Mutex::new(fresh)), ..Self::default() }
    }

    /// The disk as it is found after the power came back.
    pub(crate) fn crash(&self, how: Crash, rng: &mut SmallRng) -> Self {
        let state = self.state.lock().unwrap();
        let inodes = state
            .inodes
            .iter()
            .map(|inode| {
                let bytes = after_crash(inode, how, rng);
                Inode { now: bytes.clone(), durable: bytes, pending: Vec::new() }
            })
            .collect();
        let mut entries = state.durable_entries.clone();
        // A directory change that was not synced may have made it to the disk all the same: all of them or none, as a
        // journaling file system does it.
        if how == Crash::Kept || matches!(how, Crash::Torn(_)) && rng.random() {
            entries.clone_from(&state.entries);
        }
        let fresh = State {
            inodes,
            durable_entries: entries.clone(),
            entries,
            dirs: state.dirs.clone(),
            ..State::default()
        };
        Self { state: Arc::new(Mutex::new(fresh)), ..Self::default() }
    }

    fn call(&self, is_sync: bool) -> io::Result<Option<Fault>> {
        let mut state = self.state.lock().unwrap();
        if state.frozen {
            return Err(power_is_off());
        }
        state.calls += 1;
        state.syncs += u64::from(is_sync);
        if state.fault_hit && is_sync {
            state.syncs_after_fault += 1;
        }
        let Some((count, nth, fault)) = state.fault else { return Ok(None) };
        let here = match count {
            Count::All => state.calls == nth,
            Count::Syncs => is_sync && state.syncs == nth,
        };
        if !here || state.fault_hit {
            return Ok(None);
        }
        state.fault_hit = true;
        match fault {
            Fault::FreezeBefore => {
                state.frozen = true;
                Err(power_is_off())
            }
            Fault::Errno(_) | Fault::Short | Fault::FreezeAfter => Ok(Some(fault)),
        }
    }

    /// A call without a partial effect.
    fn whole_call<T>(
        &self,
        is_sync: bool,
        effect: impl FnOnce(&mut State) -> io::Result<T>,
    ) -> io::Result<T> {
        let fault = self.call(is_sync)?;
        if let Some(Fault::Errno(errno)) = fault {
            return Err(io::Error::from_raw_os_error(errno));
        }
        let mut state = self.state.lock().unwrap();
        let result = effect(&mut state);
        if fault == Some(Fault::FreezeAfter) {
            state.frozen = true;
            return Err(power_is_off());
        }
        result
    }
}

fn apply(bytes: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Write { offset, bytes: new } => {
            if bytes.len() < offset + new.len() {
                bytes.resize(offset + new.len(), 0);
            }
            bytes[*offset..offset + new.len()].copy_from_slice(new);
        }
        Change::SetLen(len) => bytes.resize(*len, 0),
    }
}

fn after_crash(inode: &Inode, how: Crash, rng: &mut SmallRng) -> Vec<u8> {
    let mut all = inode.durable.clone();
    for change in &inode.pending {
        apply(&mut all, change);
    }
    let sector = match how {
        Crash::Lost => return inode.durable.clone(),
        Crash::Kept => return all,
        Crash::Torn(sector) => sector,
    };
    let len = if rng.random() { all.len() } else { inode.durable.len() };
    let mut bytes = inode.durable.clone();
    bytes.resize(len, 0);
    for (at, piece) in bytes.chunks_mut(sector).enumerate() {
        let from = at * sector;
        let mut new = all.get(from..all.len().min(from + piece.len())).unwrap_or_default().to_vec();
        new.resize(piece.len(), 0);
        if new == piece {
            continue;
        }
        // Only what differs was being written; the rest of the sector is overwritten safely.
        let first = new.iter().zip(piece.iter()).position(|(a, b)| a != b).unwrap_or(0);
        match rng.random_range(0..4) {
            0 => {}
            1 => piece.copy_from_slice(&new),
            2 => piece[first..].fill(0),
            _ => rng.fill_bytes(&mut piece[first..]),
        }
    }
    bytes
}

impl Disk for SimDisk {
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        self.whole_call(false, |state| {
            state.dirs.insert(dir.to_owned());
            Ok(())
        })
    }
    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let state = self.state.lock().unwrap();
        if !state.dirs.contains(dir) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let names = state.entries.keys().filter(|p| p.parent() == Some(dir));
        Ok(names.map(|p| p.file_name().unwrap().to_str().unwrap().to_owned()).collect())
    }
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let inode = self.whole_call(false, |state| {
            if state.entries.contains_key(path) {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            state.inodes.push(Inode::default());
            let at = state.inodes.len() - 1;
            state.entries.insert(path.to_owned(), at);
            Ok(at)
        })?;
        Ok(Box::new(SimFile { disk: self.clone(), inode }))
    }
    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let state = self.state.lock().unwrap();
        let &inode = state.entries.get(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(Box::new(SimFile { disk: self.clone(), inode }))
    }
    fn open_to_write(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.open(path)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.whole_call(false, |state| {
            let at = state.entries.remove(from).ok_or(io::ErrorKind::NotFound)?;
            state.entries.insert(to.to_owned(), at);
            Ok(())
        })
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        self.whole_call(false, |state| {
            state.entries.remove(path).map(|_| ()).ok_or_else(|| io::ErrorKind::NotFound.into())
        })
    }
    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.whole_call(true, |state| {
            let inside = |path: &PathBuf| path.parent() == Some(dir);
            state.durable_entries.retain(|path, _| !inside(path));
            let now: Vec<_> =
                state.entries.iter().filter(|(p, _)| inside(p)).map(|(p, &i)| (p.clone(), i)).collect();
            state.durable_entries.extend(now);
            Ok(())
        })
    }
}

struct SimFile {
    disk: SimDisk,
    inode: usize,
}

impl SimFile {
    fn sync(&mut self) -> io::Result<()> {
        if let Some(hook) = self.disk.on_sync.lock().unwrap().as_mut() {
            let syncs = self.disk.state.lock().unwrap().syncs;
            hook(syncs + 1);
        }
        let inode = self.inode;
        let result = self.disk.whole_call(true, |state| {
            let inode = &mut state.inodes[inode];
            for change in std::mem::take(&mut inode.pending) {
                apply(&mut inode.durable, &change);
            }
            Ok(())
        });
        let mut state = self.disk.state.lock().unwrap();
        if result.is_err() && !state.frozen {
            // The pages are clean now, and gone.
            state.inodes[inode].pending.clear();
        }
        result
    }
    fn change(&mut self, change: Change) -> io::Result<()> {
        let inode = self.inode;
        self.disk.whole_call(false, |state| {
            let inode = &mut state.inodes[inode];
            apply(&mut inode.now, &change);
            inode.pending.push(change);
            Ok(())
        })
    }
}

impl DiskFile for SimFile {
    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<usize> {
        if let Some(hook) = self.disk.on_read.lock().unwrap().as_mut() {
            let mut reads = self.disk.reads.lock().unwrap();
            *reads += 1;
            hook(*reads);
        }
        let state = self.disk.state.lock().unwrap();
        let bytes = &state.inodes[self.inode].now;
        let from = usize::try_from(offset).unwrap().min(bytes.len());
        let n = out.len().min(bytes.len() - from);
        out[..n].copy_from_slice(&bytes[from..from + n]);
        Ok(n)
    }
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        let offset = usize::try_from(offset).unwrap();
        let short = {
            let state = self.disk.state.lock().unwrap();
            matches!(state.fault, Some((Count::All, nth, Fault::Short)) if nth == state.calls + 1 && !state.fault_hit)
        };
        let n = if short { bytes.len() / 2 } else { bytes.len() };
        self.change(Change::Write { offset, bytes: bytes[..n].to_vec() })?;
        Ok(n)
    }
    fn sync_data(&mut self) -> io::Result<()> {
        self.sync()
    }
    fn sync_all(&mut self) -> io::Result<()> {
        self.sync()
    }
    fn len(&self) -> io::Result<u64> {
        Ok(self.disk.state.lock().unwrap().inodes[self.inode].now.len() as u64)
    }
    fn set_len(&mut self, len: u64) -> io::Result<()> {
        self.change(Change::SetLen(usize::try_from(len).unwrap()))
    }
}
