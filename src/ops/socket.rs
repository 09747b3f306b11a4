//! The control sockets: non-blocking Unix sockets in a directory of mode 0750, peers known by the kernel's word
//! (`SO_PEERCRED`), every size and time bounded. No abstract addresses: they have no permissions.
//!
//! This file moves lines; what they mean is in `protocol.rs`, what they do in `control/`.

use std::fs;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use super::paths::Paths;
use crate::limits::{CONTROL_CLIENTS_MAX, CONTROL_LINE_BYTES_MAX};
use crate::types::Now;
use crate::types::time::{NS_PER_MS, NS_PER_S};

/// A client that says nothing for this long is dropped.
const IDLE_NS_MAX: i64 = 60 * NS_PER_S;
/// A line must end this long after it began.
const LINE_NS_MAX: i64 = 5 * NS_PER_S;
/// A client must take its answers within this time.
const WRITE_NS_MAX: i64 = 5 * NS_PER_S;
/// Bytes of answers that may wait for a client. A full status is well below.
const OUT_BYTES_MAX: usize = 1 << 20;
/// Lines taken from one client in one poll.
const LINES_PER_POLL: usize = 8;
/// Longest path that fits a socket address, its final zero left out.
const ADDRESS_BYTES_MAX: usize = 107;

/// Who may speak on which socket. Root and the engine's own user always may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Users of the operators' socket.
    pub admin_uids: Vec<u32>,
    /// Further users of the readers' socket.
    pub reader_uids: Vec<u32>,
}

impl Policy {
    /// Root, this process's user and the configured ones.
    pub fn standard(operator_uids: &[u32]) -> Self {
        let own = rustix::process::geteuid().as_raw();
        let mut admin_uids = vec![0, own];
        admin_uids.extend_from_slice(operator_uids);
        Self { admin_uids, reader_uids: Vec::new() }
    }
    fn allows(&self, peer: &Peer) -> bool {
        self.admin_uids.contains(&peer.uid) || !peer.admin && self.reader_uids.contains(&peer.uid)
    }
}

/// The other end, as the kernel knew it at `connect`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// User.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Process.
    pub pid: i32,
    /// Whether it came by the operators' socket.
    pub admin: bool,
}

/// A client's number. Never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClientId(u64);

/// What came in.
#[derive(Debug)]
pub struct Incoming {
    /// From which client.
    pub client: ClientId,
    /// Who that is.
    pub peer: Peer,
    /// The bytes, without the line's end.
    pub line: Vec<u8>,
    /// Whether they are a whole line.
    pub kind: IncomingKind,
}

/// Kinds of what came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IncomingKind {
    /// A whole line.
    Line,
    /// The beginning of a line that is too long. The client is closed after the answer.
    TooLong,
    /// A line that never ended: the client left or took too long.
    Unfinished,
}

/// Why the sockets can't be had.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// The directory isn't ours alone.
    #[error("{}: {why}; control sockets need a directory of ours with mode 0750: choose another with --run-dir", path.display())]
    Folder {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// Something that is no socket is in the way.
    #[error("{}: not a socket; move it away", path.display())]
    InTheWay {
        /// Which.
        path: PathBuf,
    },
    /// The system said no.
    #[error("{}: {source}", path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

#[derive(Debug)]
struct Client {
    id: ClientId,
    peer: Peer,
    stream: UnixStream,
    input: Vec<u8>,
    output: Vec<u8>,
    /// Last time that the client did anything.
    active_ns: i64,
    /// When the unfinished line began.
    line_began_ns: i64,
    /// Since when output waits.
    output_since_ns: i64,
    /// To be dropped once its output is gone.
    closing: bool,
    /// Reads no more: dropped at the end of the poll.
    gone: bool,
    /// Waits for a later answer: not idle, and not the one to be dropped for a newcomer.
    waiting: bool,
}

/// Both sockets and their clients.
#[derive(Debug)]
pub struct Server {
    admin: UnixListener,
    ro: UnixListener,
    policy: Policy,
    clients: Vec<Client>,
    next: u64,
    paths: Paths,
    /// Peers turned away, for the event log.
    turned_away: Vec<Peer>,
}

impl Server {
    /// Binds both sockets. The caller holds the directory's instance lock, so a socket that is there is a dead one's.
    pub fn bind(paths: &Paths, policy: Policy) -> Result<Self, SocketError> {
        own_folder(&paths.run)?;
        let admin = listen(&paths.admin_socket())?;
        let ro = listen(&paths.ro_socket())?;
        Ok(Self {
            admin,
            ro,
            policy,
            clients: Vec::new(),
            next: 1,
            paths: paths.clone(),
            turned_away: Vec::new(),
        })
    }

    /// Accepts, reads, writes and drops; what came in is put into `incoming`. Never blocks.
    pub fn poll(&mut self, now: Now, incoming: &mut Vec<Incoming>) -> usize {
        let before = incoming.len();
        let mut work = self.accept(now);
        for client in &mut self.clients {
            work += client.read(now, incoming);
            client.write(now);
            client.judge(now, incoming);
        }
        self.clients.retain(|c| !c.gone);
        work += incoming.len() - before;
        work
    }

    /// Queues an answer line. `last` ends what the client was waiting for.
    pub fn answer(&mut self, id: ClientId, line: &str, last: bool, now: Now) {
        let Some(client) = self.clients.iter_mut().find(|c| c.id == id) else { return };
        client.waiting = !last;
        if client.output.len() + line.len() >= OUT_BYTES_MAX {
            client.gone = true; // a reader this slow is no reader
            return;
        }
        if client.output.is_empty() {
            client.output_since_ns = now.mono_ns;
        }
        client.output.extend_from_slice(line.as_bytes());
        client.output.push(b'\n');
        client.write(now);
    }

    /// Peers turned away since the last call.
    pub fn take_turned_away(&mut self) -> Vec<Peer> {
        std::mem::take(&mut self.turned_away)
    }

    /// How many clients there are.
    pub fn clients(&self) -> usize {
        self.clients.len()
    }

    /// Waits until something is to be done here, at most `timeout_ns`.
    pub fn wait(&self, timeout_ns: i64) {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let mut fds = vec![PollFd::new(&self.admin, PollFlags::IN), PollFd::new(&self.ro, PollFlags::IN)];
        // One that only waits for its last answer is left out: its hang-up would end every wait at once.
        for client in self.clients.iter().filter(|c| !c.closing || !c.output.is_empty()) {
            let wanted =
                if client.output.is_empty() { PollFlags::IN } else { PollFlags::IN | PollFlags::OUT };
            fds.push(PollFd::new(&client.stream, wanted));
        }
        let timeout = Timespec { tv_sec: timeout_ns / NS_PER_S, tv_nsec: timeout_ns % NS_PER_S };
        // An interrupted or failed wait only means that the next poll comes early.
        let _ready = poll(&mut fds, Some(&timeout));
    }

    fn accept(&mut self, now: Now) -> usize {
        let mut accepted = 0;
        for admin in [true, false] {
            // Bounded: a flood of connections may not keep the control thread here.
            for _ in 0..2 * CONTROL_CLIENTS_MAX {
                let listener = if admin { &self.admin } else { &self.ro };
                let Ok((stream, _)) = listener.accept() else { break };
                accepted += 1;
                self.welcome(stream, admin, now);
            }
        }
        accepted
    }

    fn welcome(&mut self, mut stream: UnixStream, admin: bool, now: Now) {
        let Ok(credentials) = rustix::net::sockopt::socket_peercred(&stream) else { return };
        let peer = Peer {
            uid: credentials.uid.as_raw(),
            gid: credentials.gid.as_raw(),
            pid: credentials.pid.as_raw_nonzero().get(),
            admin,
        };
        if stream.set_nonblocking(true).is_err() {
            return;
        }
        if !self.policy.allows(&peer) {
            let refusal = super::protocol::Refusal::new(
                super::protocol::code::FORBIDDEN,
                format!("user {} may not use this socket (kill.operator_uids)", peer.uid),
            );
            let answer = super::protocol::Answer::refused(serde_json::Value::Null, 0, refusal);
            // One attempt: whoever may not speak is not waited for.
            let _told = stream.write(format!("{}\n", answer.line()).as_bytes());
            if self.turned_away.len() < CONTROL_CLIENTS_MAX {
                self.turned_away.push(peer);
            }
            return;
        }
        self.make_room();
        let id = ClientId(self.next);
        self.next += 1;
        self.clients.push(Client::new(id, peer, stream, now));
    }

    /// A full house may not lock an operator out of the kill switch: the client that has been quiet the longest and waits for
    /// nothing goes.
    fn make_room(&mut self) {
        if self.clients.len() < CONTROL_CLIENTS_MAX {
            return;
        }
        let quietest = self.clients.iter().enumerate().min_by_key(|(_, c)| (c.waiting, c.active_ns));
        if let Some((at, _)) = quietest {
            self.clients.remove(at);
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        for path in [self.paths.admin_socket(), self.paths.ro_socket()] {
            let _removed = fs::remove_file(path); // best effort: the next start removes a dead socket anyway
        }
    }
}

impl Client {
    fn new(id: ClientId, peer: Peer, stream: UnixStream, now: Now) -> Self {
        Self {
            id,
            peer,
            stream,
            input: Vec::with_capacity(CONTROL_LINE_BYTES_MAX + 1),
            output: Vec::new(),
            active_ns: now.mono_ns,
            line_began_ns: now.mono_ns,
            output_since_ns: now.mono_ns,
            closing: false,
            gone: false,
            waiting: false,
        }
    }

    fn read(&mut self, now: Now, incoming: &mut Vec<Incoming>) -> usize {
        let mut work = 0;
        for _ in 0..LINES_PER_POLL {
            if self.closing || self.gone {
                return work;
            }
            let mut piece = [0u8; CONTROL_LINE_BYTES_MAX];
            match self.stream.read(&mut piece) {
                Ok(0) => {
                    self.unfinished(incoming);
                    // It may have shut only its sending half and still read (`printf ... | nc -U`).
                    self.closing = true;
                    return work + 1;
                }
                Ok(n) => {
                    if self.input.is_empty() {
                        self.line_began_ns = now.mono_ns;
                    }
                    self.active_ns = now.mono_ns;
                    self.input.extend_from_slice(&piece[..n]);
                    work += 1;
                    self.split(now, incoming);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return work,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => {
                    self.unfinished(incoming);
                    self.gone = true;
                    return work + 1;
                }
            }
        }
        work
    }

    fn split(&mut self, now: Now, incoming: &mut Vec<Incoming>) {
        while let Some(end) = self.input.iter().position(|&byte| byte == b'\n') {
            let rest = self.input.split_off(end + 1);
            let mut line = std::mem::replace(&mut self.input, rest);
            line.pop();
            self.line_began_ns = now.mono_ns;
            if line.len() > CONTROL_LINE_BYTES_MAX {
                self.too_long(line, incoming);
                return;
            }
            if !line.trim_ascii().is_empty() {
                self.put(line, IncomingKind::Line, incoming);
            }
        }
        if self.input.len() > CONTROL_LINE_BYTES_MAX {
            let line = std::mem::take(&mut self.input);
            self.too_long(line, incoming);
        }
    }

    fn too_long(&mut self, mut line: Vec<u8>, incoming: &mut Vec<Incoming>) {
        line.truncate(CONTROL_LINE_BYTES_MAX);
        self.input.clear();
        self.put(line, IncomingKind::TooLong, incoming);
        self.closing = true;
    }

    fn unfinished(&mut self, incoming: &mut Vec<Incoming>) {
        if !self.input.trim_ascii().is_empty() {
            let line = std::mem::take(&mut self.input);
            self.put(line, IncomingKind::Unfinished, incoming);
        }
    }

    fn put(&mut self, line: Vec<u8>, kind: IncomingKind, incoming: &mut Vec<Incoming>) {
        self.waiting = true;
        incoming.push(Incoming { client: self.id, peer: self.peer, line, kind });
    }

    fn write(&mut self, now: Now) {
        while !self.output.is_empty() {
            match self.stream.write(&self.output) {
                Ok(0) => self.gone = true,
                Ok(n) => {
                    self.output.drain(..n);
                    self.output_since_ns = now.mono_ns;
                    self.active_ns = now.mono_ns;
                    continue;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => self.gone = true,
            }
            return;
        }
    }

    /// Whether its time is up.
    fn judge(&mut self, now: Now, incoming: &mut Vec<Incoming>) {
        let age = |since: i64| now.mono_ns.saturating_sub(since);
        if !self.output.is_empty() && age(self.output_since_ns) > WRITE_NS_MAX {
            self.gone = true;
        }
        if !self.input.is_empty() && age(self.line_began_ns) > LINE_NS_MAX {
            self.unfinished(incoming);
            self.closing = true;
        }
        if self.closing && self.output.is_empty() && !self.waiting {
            self.gone = true;
        }
        if !self.waiting && self.output.is_empty() && age(self.active_ns) > IDLE_NS_MAX {
            self.gone = true;
        }
    }
}

/// How long a line may take, for the tests.
pub const LINE_MS_MAX: i64 = LINE_NS_MAX / NS_PER_MS;

fn own_folder(path: &Path) -> Result<(), SocketError> {
    let io = |source| SocketError::Io { path: path.to_path_buf(), source };
    let bad = |why: String| SocketError::Folder { path: path.to_path_buf(), why };
    match fs::DirBuilder::new().mode(0o750).recursive(true).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(io(error)),
        _ => {}
    }
    let meta = fs::symlink_metadata(path).map_err(io)?;
    if !meta.is_dir() {
        return Err(bad("not a directory".to_owned()));
    }
    let own = rustix::process::geteuid().as_raw();
    if meta.uid() != own {
        return Err(bad(format!("it belongs to user {}", meta.uid())));
    }
    if meta.mode() & 0o027 != 0 {
        // Ours, but open to others: an operator's slip that we can put right.
        fs::set_permissions(path, fs::Permissions::from_mode(0o750)).map_err(io)?;
    }
    Ok(())
}

fn listen(path: &Path) -> Result<UnixListener, SocketError> {
    let io = |source| SocketError::Io { path: path.to_path_buf(), source };
    match fs::symlink_metadata(path) {
        Ok(meta) if !meta.file_type().is_socket() => {
            return Err(SocketError::InTheWay { path: path.to_path_buf() });
        }
        Ok(_) => fs::remove_file(path).map_err(io)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(io(error)),
    }
    let address = Address::of(path).map_err(io)?;
    // The directory keeps others out until the mode is set.
    let listener = UnixListener::bind(&address.path).map_err(io)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o660)).map_err(io)?;
    listener.set_nonblocking(true).map_err(io)?;
    Ok(listener)
}

/// Connects to a control socket.
pub fn connect(path: &Path) -> io::Result<UnixStream> {
    UnixStream::connect(&Address::of(path)?.path)
}

/// A path that fits a socket address: the path itself, or, if it is too long for one, by way of its directory's descriptor.
struct Address {
    path: PathBuf,
    _folder: Option<OwnedFd>,
}

impl Address {
    fn of(path: &Path) -> io::Result<Self> {
        let bytes = path.as_os_str().as_encoded_bytes();
        if bytes.first().is_none_or(|&b| b == 0) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "an abstract socket address has no permissions",
            ));
        }
        if bytes.len() <= ADDRESS_BYTES_MAX {
            return Ok(Self { path: path.to_path_buf(), _folder: None });
        }
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "no file name"));
        };
        let folder: OwnedFd = fs::File::open(folder)?.into();
        let descriptor: BorrowedFd<'_> = folder.as_fd();
        let short = Path::new("/proc/self/fd").join(descriptor.as_raw_fd().to_string()).join(name);
        Ok(Self { path: short, _folder: Some(folder) })
    }
}
