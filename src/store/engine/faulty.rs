//! An engine that fails as real ones do: records that cannot be read, commits that fail on the way or are applied in
//! part, syncs that are slow or never end. For tests, behind the feature `conformance`.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use parking_lot::{Mutex, RwLock};

use crate::store::engine::kv::{Batch, Direction, KeyChange, Kv, KvError, ScanVisitor, Span, Step};

/// Where a fault strikes, or an operation waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultAt {
    /// A `get`.
    Get,
    /// A scan, before its first pair.
    Scan,
    /// A commit, before anything is written.
    BeforeWrite,
    /// A commit, once so many of its changes are applied: this process sees those. The next one sees none of it, as an
    /// engine takes back what is not whole when it is opened.
    Applied(usize),
    /// A commit, after its write and before its sync: this process sees it, the next one if there was no power cut.
    BeforeSync,
    /// A commit, after its sync: it is durable, and that is not answered.
    AfterSync,
}

/// How a record fails that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadFault {
    /// It is damaged alone: a scan goes on behind it.
    Damaged,
    /// The page that it is on is damaged: no scan goes on behind it.
    DamagedPage,
    /// The device reports an error, which says nothing about the record.
    Failed,
}

/// How a process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProcessEnd {
    /// It is killed: what was handed to the operating system is there.
    Killed,
    /// The machine loses its power: what was synced is there.
    PowerCut,
}

/// Any engine, with faults to inject while it is used. Clones share them.
#[derive(Clone)]
pub struct Faulty {
    below: Arc<dyn Kv>,
    faults: Arc<InjectedFaults>,
}

type KeyTest = Box<dyn Fn(&[u8]) -> bool + Send + Sync>;
type Pause = Arc<dyn Fn() + Send + Sync>;

#[derive(Default)]
struct InjectedFaults {
    strike: RwLock<Option<Strike>>,
    unreadable: RwLock<Option<(ReadFault, KeyTest)>>,
    pause: RwLock<Option<(FaultAt, Pause)>>,
    /// What is applied and not durable, over what is below.
    unsynced: RwLock<BTreeMap<Vec<u8>, Option<Vec<u8>>>>,
    /// A batch that was written whole, and not synced.
    written: RwLock<Option<Batch>>,
}

#[derive(Debug, Clone)]
struct Strike {
    at: FaultAt,
    /// How many more go through.
    spared: u64,
    cause: String,
}

/// Operations that are held back, each until it is let go; once the holder is gone none is.
pub struct HeldBack {
    /// Gets something each time when an operation has come so far.
    pub reached: Receiver<()>,
    /// Lets one go.
    pub go: Sender<()>,
}

impl Faulty {
    /// The engine as it is, until a fault is injected.
    pub fn over(below: impl Kv) -> Faulty {
        Faulty { below: Arc::new(below), faults: Arc::default() }
    }

    /// What a new process finds after this one ended like that: without faults.
    ///
    /// # Errors
    /// Those of the engine below.
    pub fn after(&self, end: ProcessEnd) -> Result<Faulty, KvError> {
        let written = self.faults.written.write().take();
        if let Some(batch) = written.filter(|_| end == ProcessEnd::Killed) {
            self.below.commit(batch, &mut |_| {})?;
        }
        Ok(Faulty { below: Arc::clone(&self.below), faults: Arc::default() })
    }

    /// Lets `spared` operations pass `at`, then fails that one and every later one.
    pub fn fail(&self, at: FaultAt, spared: u64, cause: &str) {
        *self.faults.strike.write() = Some(Strike { at, spared, cause: cause.to_owned() });
    }

    /// From now on the records with these keys cannot be read, where there are any.
    pub fn cannot_read(&self, how: ReadFault, keys: impl Fn(&[u8]) -> bool + Send + Sync + 'static) {
        *self.faults.unreadable.write() = Some((how, Box::new(keys)));
    }

    /// Every record can be read again.
    pub fn can_read(&self) {
        *self.faults.unreadable.write() = None;
    }

    /// What passes `at` waits as long as `pause` does.
    pub fn pause(&self, at: FaultAt, pause: impl Fn() + Send + Sync + 'static) {
        *self.faults.pause.write() = Some((at, Arc::new(pause)));
    }

    /// Holds each operation back at `at` until it is let go.
    pub fn hold(&self, at: FaultAt) -> HeldBack {
        let ((here, reached), (go, let_go)) = (channel(), channel());
        let (here, let_go) = (Mutex::new(here), Mutex::new(let_go));
        self.pause(at, move || {
            if here.lock().send(()).is_ok() {
                let _let_go_or_the_holder_is_gone = let_go.lock().recv();
            }
        });
        HeldBack { reached, go }
    }

    fn pass(&self, at: FaultAt) -> Result<(), KvError> {
        let pause =
            self.faults.pause.read().as_ref().filter(|(place, _)| *place == at).map(|(_, p)| p.clone());
        if let Some(pause) = pause {
            pause();
        }
        match self.faults.strike.write().as_mut().filter(|strike| strike.at == at) {
            Some(strike) if strike.spared == 0 => Err(KvError::Failed(strike.cause.clone())),
            Some(strike) => {
                strike.spared -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// After how many changes this commit fails, where it does on the way, and with what.
    fn stops_after(&self) -> Option<(usize, KvError)> {
        let mut strike = self.faults.strike.write();
        let strike = strike.as_mut()?;
        let FaultAt::Applied(changes) = strike.at else { return None };
        if strike.spared > 0 {
            strike.spared -= 1;
            return None;
        }
        Some((changes, KvError::Failed(strike.cause.clone())))
    }

    /// Why the record with this key cannot be read, if it is there and cannot.
    fn why_unreadable(&self, key: &[u8]) -> Result<Option<KvError>, KvError> {
        let unreadable = self.faults.unreadable.read();
        let Some((how, _)) = unreadable.as_ref().filter(|(_, keys)| keys(key)) else { return Ok(None) };
        let cause = "the bytes do not verify".to_owned();
        Ok(match how {
            ReadFault::DamagedPage => Some(KvError::Damaged { key: key.to_vec(), cause }),
            _ if self.below.get(key)?.is_none() => None,
            ReadFault::Damaged => Some(KvError::Damaged { key: key.to_vec(), cause }),
            ReadFault::Failed => Some(KvError::Failed("Input/output error (os error 5)".to_owned())),
        })
    }

    /// This process sees these changes from now on.
    fn apply(&self, changes: &[(Vec<u8>, KeyChange)]) {
        let mut unsynced = self.faults.unsynced.write();
        for (key, change) in changes {
            let value = match change {
                KeyChange::Add(value) | KeyChange::Put(value) => Some(value.clone()),
                KeyChange::Remove => None,
            };
            unsynced.insert(key.clone(), value);
        }
    }

    /// What is within a span now, with what is not synced.
    fn pairs(&self, span: Span<'_>) -> Result<BTreeMap<Vec<u8>, Vec<u8>>, KvError> {
        let (mut pairs, mut failed) = (BTreeMap::new(), None);
        self.below.scan(span, &mut |key, value| match value {
            Ok(value) => {
                pairs.insert(key.to_vec(), value.to_vec());
                ControlFlow::Continue(())
            }
            Err(error) => {
                failed = Some(error.clone());
                ControlFlow::Break(())
            }
        })?;
        for (key, value) in self.faults.unsynced.read().iter().filter(|(key, _)| span.covers(key)) {
            match value {
                Some(value) => drop(pairs.insert(key.clone(), value.clone())),
                None => drop(pairs.remove(key)),
            }
        }
        failed.map_or(Ok(pairs), Err)
    }

    fn is_sound(&self) -> bool {
        self.faults.unreadable.read().is_none() && self.faults.unsynced.read().is_empty()
    }
}

impl Kv for Faulty {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, KvError> {
        self.pass(FaultAt::Get)?;
        if let Some(error) = self.why_unreadable(key)? {
            return Err(error);
        }
        if let Some(value) = self.faults.unsynced.read().get(key) {
            return Ok(value.clone());
        }
        self.below.get(key)
    }

    fn scan(&self, span: Span<'_>, visit: ScanVisitor<'_>) -> Result<(), KvError> {
        self.pass(FaultAt::Scan)?;
        if self.is_sound() {
            return self.below.scan(span, visit);
        }
        let pairs = self.pairs(span)?;
        let mut pairs = pairs.iter();
        let is_page = matches!(self.faults.unreadable.read().as_ref(), Some((ReadFault::DamagedPage, _)));
        if let Some(error) = self.why_unreadable(span.from)?.filter(|_| is_page) {
            return Err(error);
        }
        loop {
            let next = match span.direction {
                Direction::Up => pairs.next(),
                Direction::Down => pairs.next_back(),
            };
            let Some((key, value)) = next else { return Ok(()) };
            let visited = match self.why_unreadable(key)? {
                Some(error @ KvError::Damaged { .. }) if !is_page => visit(key, Err(&error)),
                Some(error) => return Err(error),
                None => visit(key, Ok(value)),
            };
            if let ControlFlow::Break(()) = visited {
                return Ok(());
            }
        }
    }

    fn commit(&self, batch: Batch, passed: &mut dyn FnMut(Step)) -> Result<(), KvError> {
        for (key, change) in &batch.changes {
            // What is added is not looked for.
            let overwritten =
                if matches!(change, KeyChange::Add(_)) { None } else { self.why_unreadable(key)? };
            if let Some(error) = overwritten {
                return Err(error);
            }
        }
        self.pass(FaultAt::BeforeWrite)?;
        if let Some((applied, error)) = self.stops_after() {
            self.apply(batch.changes.get(..applied).unwrap_or(&batch.changes));
            return Err(error);
        }
        self.apply(&batch.changes);
        *self.faults.written.write() = Some(batch.clone());
        passed(Step::Written);
        self.pass(FaultAt::BeforeSync)?;
        self.below.commit(batch, &mut |_| {})?;
        *self.faults.written.write() = None;
        self.faults.unsynced.write().clear();
        passed(Step::Synced);
        self.pass(FaultAt::AfterSync)
    }
}
