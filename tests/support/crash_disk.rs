//! The disk below a recording: what of it is durable at each record, and images of it as a power cut may leave them.
//!
//! Durable is what was written before a sync began that has ended well: of a file its bytes and its size, of a folder its
//! names. All else may be there or not, as a crash pleases: each block of a file as it was at some moment since, its size
//! as it was at some moment since, each name changed or not. A file's sync makes its name durable no more than the standard
//! says that it does.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;

use crate::support::recording::{Record, Recording};
use crate::support::trial::Chance;

/// A file or folder: where it is in [`CrashDisk::nodes`].
type Node = usize;

enum Entry {
    File(FileState),
    Folder { names: BTreeMap<String, Node>, durable: BTreeMap<String, Node> },
}

#[derive(Default)]
struct FileState {
    durable: Vec<u8>,
    /// With the numbers of their records.
    pending: Vec<(usize, Change)>,
}

enum Change {
    Write { at: u64, bytes: Vec<u8> },
    Size(u64),
    AtLeast(u64),
}

/// Names that change together, or not.
struct NameChange {
    record: usize,
    sets: Vec<(Node, String, Option<Node>)>,
}

/// What a power cut leaves of what was not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// All of it: as a kill does.
    All,
    /// Nothing of it.
    Nothing,
    /// Some of it, in blocks of so many bytes; of names that change those up to one of them.
    InOrder(u64),
    /// The same, of names any.
    InAnyOrder(u64),
}

impl Kept {
    pub fn by(chance: &mut Chance) -> Kept {
        match chance.below(10) {
            0 => Kept::All,
            1 => Kept::Nothing,
            2..=4 => Kept::InOrder(4096),
            5 => Kept::InOrder(512),
            6 => Kept::InAnyOrder(512),
            _ => Kept::InAnyOrder(4096),
        }
    }
}

/// The disk, as far as a recording was gone through.
pub struct CrashDisk<'a> {
    recording: &'a Recording,
    next: usize,
    nodes: Vec<Entry>,
    handles: HashMap<u64, Node>,
    /// By a sync's number: at which record it began.
    syncs: HashMap<u64, usize>,
    names: Vec<NameChange>,
}

const ROOT: Node = 0;

fn folder() -> Entry {
    Entry::Folder { names: BTreeMap::new(), durable: BTreeMap::new() }
}

impl<'a> CrashDisk<'a> {
    pub fn new(recording: &'a Recording) -> CrashDisk<'a> {
        let (handles, syncs, names) = Default::default();
        CrashDisk { recording, next: 0, nodes: vec![folder()], handles, syncs, names }
    }

    /// The same, of a folder that was there before: as `base` has it, durably.
    pub fn over(recording: &'a Recording, base: &Path) -> CrashDisk<'a> {
        let mut disk = CrashDisk::new(recording);
        disk.load(ROOT, base);
        disk
    }

    fn load(&mut self, into: Node, from: &Path) {
        for entry in fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            let (path, is_folder) = (entry.path(), entry.file_type().unwrap().is_dir());
            let durable = || FileState { durable: fs::read(&path).unwrap(), pending: Vec::new() };
            self.nodes.push(if is_folder { folder() } else { Entry::File(durable()) });
            let node = self.nodes.len() - 1;
            let Entry::Folder { names, durable } = &mut self.nodes[into] else { unreachable!() };
            for names in [names, durable] {
                names.insert(entry.file_name().into_string().unwrap(), node);
            }
            if is_folder {
                self.load(node, &path);
            }
        }
    }

    /// Goes through the records before `end`.
    pub fn go_to(&mut self, end: usize) {
        while self.next < end {
            self.step(self.recording.get(self.next));
            self.next += 1;
        }
    }

    fn step(&mut self, record: Record<'_>) {
        match record {
            Record::FolderMade { path: "" } | Record::Sent { .. } => {}
            Record::FolderMade { path } => drop(self.make(path, folder())),
            Record::Opened { handle, is_made, is_emptied, path } => {
                let node = match is_made {
                    true => Some(self.make(path, Entry::File(FileState::default()))),
                    false => self.find(path),
                };
                self.handles.extend(node.map(|node| (handle, node)));
                if is_emptied {
                    self.change(handle, Change::Size(0));
                }
            }
            Record::Written { handle, at, bytes } => {
                self.change(handle, Change::Write { at, bytes: bytes.to_vec() });
            }
            Record::Sized { handle, size } => self.change(handle, Change::Size(size)),
            Record::AtLeast { handle, size } => self.change(handle, Change::AtLeast(size)),
            Record::SyncBegins { sync, .. } => drop(self.syncs.insert(sync, self.next)),
            Record::Synced { handle, sync } => self.synced(handle, sync),
            Record::Renamed { from, to } => {
                let moved = self.find(from);
                let [from, to] = [self.place(from), self.place(to)];
                self.set(vec![(from.0, from.1, None), (to.0, to.1, moved)]);
            }
            Record::Linked { from, to } => {
                let (node, (folder, name)) = (self.find(from), self.place(to));
                self.set(vec![(folder, name, node)]);
            }
            Record::Removed { path } => {
                let (folder, name) = self.place(path);
                self.set(vec![(folder, name, None)]);
            }
        }
    }

    fn find(&self, path: &str) -> Option<Node> {
        let parts = path.split('/').filter(|part| !part.is_empty());
        parts.into_iter().try_fold(ROOT, |node, part| match &self.nodes[node] {
            Entry::Folder { names, .. } => names.get(part).copied(),
            Entry::File(_) => None,
        })
    }

    /// The folder that a name is in, and the name.
    fn place(&self, path: &str) -> (Node, String) {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        let node = self.find(folder).unwrap_or_else(|| panic!("{path} is in no folder that was recorded"));
        (node, name.to_owned())
    }

    fn make(&mut self, path: &str, entry: Entry) -> Node {
        self.nodes.push(entry);
        let (node, (folder, name)) = (self.nodes.len() - 1, self.place(path));
        self.set(vec![(folder, name, Some(node))]);
        node
    }

    fn set(&mut self, sets: Vec<(Node, String, Option<Node>)>) {
        for (folder, name, node) in &sets {
            let Entry::Folder { names, .. } = &mut self.nodes[*folder] else { unreachable!() };
            assign(names, name, *node);
        }
        self.names.push(NameChange { record: self.next, sets });
    }

    fn change(&mut self, handle: u64, change: Change) {
        // What was there before the recording, as the folder around it, is no part of it.
        let Some(node) = self.handles.get(&handle) else { return };
        let Entry::File(file) = &mut self.nodes[*node] else { panic!("a folder was written to") };
        file.pending.push((self.next, change));
    }

    fn synced(&mut self, handle: u64, sync: u64) {
        let began = self.syncs.remove(&sync).unwrap();
        let Some(node) = self.handles.get(&handle).copied() else { return };
        match &mut self.nodes[node] {
            Entry::File(file) => {
                let pending = std::mem::take(&mut file.pending);
                let (done, left) = pending.into_iter().partition(|(record, _)| *record < began);
                file.pending = left;
                let done: Vec<(usize, Change)> = done;
                done.iter().for_each(|(_, change)| change.apply(&mut file.durable));
            }
            Entry::Folder { .. } => {
                let is_done = |change: &mut NameChange| {
                    change.record < began && change.sets.iter().any(|(folder, ..)| *folder == node)
                };
                let done: Vec<NameChange> = self.names.extract_if(.., is_done).collect();
                for (folder, name, node) in done.into_iter().flat_map(|change| change.sets) {
                    let Entry::Folder { durable, .. } = &mut self.nodes[folder] else { unreachable!() };
                    assign(durable, &name, node);
                }
            }
        }
    }

    /// Writes into a folder what a power cut may leave here.
    pub fn write_image(&self, to: &Path, kept: Kept, chance: &mut Chance) {
        let mut folders: HashMap<Node, BTreeMap<String, Node>> = HashMap::new();
        for (node, entry) in self.nodes.iter().enumerate() {
            if let Entry::Folder { durable, .. } = entry {
                folders.insert(node, durable.clone());
            }
        }
        let up_to = chance.below(self.names.len() as u64 + 1) as usize;
        for (number, change) in self.names.iter().enumerate() {
            let is_kept = match kept {
                Kept::All => true,
                Kept::Nothing => false,
                Kept::InOrder(_) => number < up_to,
                Kept::InAnyOrder(_) => chance.below(2) == 0,
            };
            if is_kept {
                for (folder, name, node) in &change.sets {
                    assign(folders.get_mut(folder).unwrap(), name, *node);
                }
            }
        }
        self.write_folder(ROOT, &folders, to, kept, chance);
    }

    fn write_folder(
        &self,
        node: Node,
        folders: &HashMap<Node, BTreeMap<String, Node>>,
        to: &Path,
        kept: Kept,
        chance: &mut Chance,
    ) {
        fs::create_dir_all(to).unwrap();
        for (name, node) in &folders[&node] {
            let to = to.join(name);
            match &self.nodes[*node] {
                Entry::Folder { .. } => self.write_folder(*node, folders, &to, kept, chance),
                Entry::File(file) => fs::write(to, file.image(kept, chance)).unwrap(),
            }
        }
    }
}

fn assign(names: &mut BTreeMap<String, Node>, name: &str, node: Option<Node>) {
    match node {
        Some(node) => drop(names.insert(name.to_owned(), node)),
        None => drop(names.remove(name)),
    }
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        let size = self.size_after(bytes.len() as u64) as usize;
        bytes.resize(size, 0);
        if let Change::Write { at, bytes: written } = self {
            bytes[*at as usize..*at as usize + written.len()].copy_from_slice(written);
        }
    }

    fn size_after(&self, before: u64) -> u64 {
        match self {
            Change::Write { at, bytes } => before.max(at + bytes.len() as u64),
            Change::Size(size) => *size,
            Change::AtLeast(size) => before.max(*size),
        }
    }

    /// Which bytes it changes in a file of the size before.
    fn touches(&self, before: u64) -> (u64, u64) {
        match self {
            Change::Write { at, bytes } => (*at, at + bytes.len() as u64),
            Change::Size(size) => (*size, before.max(*size)),
            Change::AtLeast(_) => (0, 0),
        }
    }
}

/// The number of the changes of a block that an image has, of all there are.
fn some_of(all: usize, chance: &mut Chance) -> usize {
    // Often the last state: a block that was written once is as likely there as not.
    if chance.below(2) == 0 { all } else { chance.below(all as u64 + 1) as usize }
}

impl FileState {
    fn image(&self, kept: Kept, chance: &mut Chance) -> Vec<u8> {
        let block = match kept {
            Kept::Nothing => return self.durable.clone(),
            Kept::All => {
                let mut bytes = self.durable.clone();
                self.pending.iter().for_each(|(_, change)| change.apply(&mut bytes));
                return bytes;
            }
            Kept::InOrder(block) | Kept::InAnyOrder(block) => block,
        };
        let mut sizes = vec![self.durable.len() as u64];
        let mut pieces: Vec<(usize, u64, u64)> = Vec::new();
        let mut counts: HashMap<u64, usize> = HashMap::new();
        for (number, (_, change)) in self.pending.iter().enumerate() {
            let before = sizes[number];
            sizes.push(change.size_after(before));
            let (mut from, end) = change.touches(before);
            while from < end {
                let next = ((from / block + 1) * block).min(end);
                *counts.entry(from / block).or_default() += 1;
                pieces.push((number, from, next));
                from = next;
            }
        }
        let mut blocks: Vec<(u64, usize)> = counts.into_iter().collect();
        blocks.sort_unstable();
        let mut left: HashMap<u64, usize> =
            blocks.into_iter().map(|(at, all)| (at, some_of(all, chance))).collect();
        let mut bytes = self.durable.clone();
        bytes.resize(sizes.iter().copied().max().unwrap_or_default() as usize, 0);
        for (number, from, end) in pieces {
            let left = left.get_mut(&(from / block)).unwrap();
            if *left == 0 {
                continue;
            }
            *left -= 1;
            let place = &mut bytes[from as usize..end as usize];
            match &self.pending[number].1 {
                Change::Write { at, bytes } => {
                    place.copy_from_slice(&bytes[(from - at) as usize..(end - at) as usize]);
                }
                Change::Size(_) | Change::AtLeast(_) => place.fill(0),
            }
        }
        let size = sizes[some_of(self.pending.len(), chance)];
        bytes.resize(size as usize, 0);
        bytes
    }
}
