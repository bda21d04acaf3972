//! Reads of a journal and its index: what the index cannot give is read from the journal, once for each place.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use bytes::Bytes;

use crate::store::engine::checkpoint::IndexedJournal;
use crate::store::engine::journal::changes;
use crate::store::engine::journal::replay::{UnreadJournal, replay_whole, values_within};
use crate::store::engine::kv::{Direction, Kv, KvError, ScanVisitor, Span, WRITER_THREAD};
use crate::store::engine::merge;
use crate::store::engine::unreadable::{self, NoRecords, UnreadablePlace, UnreadableSpan, around};

/// No more bytes of records than this are kept in memory for one place.
const MOST_KEPT: usize = 64 * 1024 * 1024;

/// No more places than these are healed for one scan.
const MOST_PLACES: usize = 256;

/// How a scan of what is known to be readable ended.
enum ScanEnd {
    /// All was shown, or the visitor had enough.
    Ended,
    /// There something cannot be read; all before it was shown.
    Unreadable(UnreadablePlace, KvError),
}

impl IndexedJournal {
    /// The value of a key: of the overlay, else of the index.
    ///
    /// # Errors
    /// That it cannot be read.
    pub fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, KvError> {
        if let Some(changed) = self.overlay.get(key) {
            return Ok(changed.map(Vec::from));
        }
        if self.unreadable.covers(key) {
            // What there is of it is in the overlay, perhaps only since it was looked for there.
            return Ok(self.overlay.get(key).flatten().map(Vec::from));
        }
        match self.index.get(key) {
            Err(error @ KvError::Damaged { .. }) => {
                self.heal(&UnreadablePlace::of(key), error).map_err(|unhealed| unhealed.error)?;
                Ok(self.overlay.get(key).flatten().map(Vec::from))
            }
            found => found,
        }
    }

    /// Hands over each pair of a span in order; what neither the index nor the journal can give as that.
    ///
    /// # Errors
    /// The engine's.
    pub fn scan(&self, span: Span<'_>, visit: ScanVisitor<'_>) -> Result<(), KvError> {
        let (mut from, mut to) = (span.from.to_vec(), span.to.to_vec());
        let mut places = 0;
        while from < to {
            let mut last = None;
            let rest = Span { from: &from, to: &to, ..span };
            let (place, error) = match self.scan_known(rest, &mut last, visit)? {
                ScanEnd::Ended => return Ok(()),
                ScanEnd::Unreadable(place, error) => (place, error),
            };
            if let Some(last) = last {
                match span.direction {
                    Direction::Up => from = [last.as_slice(), &[0]].concat(),
                    Direction::Down => to = last,
                }
            }
            places += 1;
            if places > MOST_PLACES {
                return Err(error);
            }
            let Err(UnhealedPlace { span: lost, error }) = self.heal(&place, error) else { continue };
            // No scan goes on behind it.
            let Some(lost) = lost else { return Err(error) };
            let key = if lost.from.as_slice() > span.from { lost.from.as_slice() } else { span.from };
            if visit(key, Err(&error)).is_break() {
                return Ok(());
            }
            // What was committed there since is shown all the same.
            let (begin, end) = (lost.from.max(from.clone()), lost.to.min(to.clone()));
            // Downwards what is over the index behind it was not shown yet.
            let shown_to = if span.direction == Direction::Down { to.clone() } else { end.clone() };
            let mut ended = false;
            let mut seen = |key: &[u8], value: Result<&[u8], &KvError>| {
                let shown = visit(key, value);
                ended = shown.is_break();
                shown
            };
            let rest = Span { from: &begin, to: &shown_to, ..span };
            if begin < shown_to {
                self.scan_part(rest, &NoRecords, &mut None, &mut seen)?;
            }
            if ended {
                return Ok(());
            }
            let before = (from.clone(), to.clone());
            match span.direction {
                Direction::Up => from = from.max(end),
                Direction::Down => to = to.min(begin),
            }
            if before == (from.clone(), to.clone()) {
                return Err(error);
            }
        }
        Ok(())
    }

    /// Shows what is known to be readable, up to what turns out not to be. `last` is the last key that was shown.
    fn scan_known(
        &self,
        span: Span<'_>,
        last: &mut Option<Vec<u8>>,
        visit: ScanVisitor<'_>,
    ) -> Result<ScanEnd, KvError> {
        let unreadable = self.unreadable.now();
        if unreadable.is_empty() {
            return self.scan_part(span, &self.index, last, visit);
        }
        let mut ended = false;
        for (part, is_readable) in unreadable::parts(span, &unreadable) {
            let mut visit = |key: &[u8], value: Result<&[u8], &KvError>| {
                let shown = visit(key, value);
                ended = shown.is_break();
                shown
            };
            let below: &dyn Kv = if is_readable { &self.index } else { &NoRecords };
            match self.scan_part(part, below, last, &mut visit)? {
                ScanEnd::Ended if !ended => {}
                end => return Ok(end),
            }
        }
        Ok(ScanEnd::Ended)
    }

    fn scan_part(
        &self,
        span: Span<'_>,
        below: &dyn Kv,
        last: &mut Option<Vec<u8>>,
        visit: ScanVisitor<'_>,
    ) -> Result<ScanEnd, KvError> {
        let mut unread = None;
        let scanned = merge::scan(self.overlay.stack(), below, span, &mut |key, value| {
            if let Err(error) = value {
                unread = Some((UnreadablePlace::of(key), error.clone()));
                return ControlFlow::Break(());
            }
            let known = last.get_or_insert_default();
            known.clear();
            known.extend_from_slice(key);
            visit(key, value)
        });
        let table = span.from.first().copied().unwrap_or_default();
        match (unread, scanned) {
            (Some((place, error)), _) => Ok(ScanEnd::Unreadable(place, error)),
            (None, Err(KvError::Damaged { key, cause })) => {
                // It is behind what was read last, and that is what the engine names.
                let at = match span.direction {
                    Direction::Up if key.as_slice() < span.from => span.from.to_vec(),
                    Direction::Up => [key.as_slice(), &[0]].concat(),
                    Direction::Down if key.as_slice() > span.to => span.to.to_vec(),
                    Direction::Down => key.clone(),
                };
                let error = KvError::Damaged { key, cause };
                Ok(ScanEnd::Unreadable(UnreadablePlace::next_to(at, table), error))
            }
            (None, Err(error)) => Err(error),
            (None, Ok(())) => Ok(ScanEnd::Ended),
        }
    }

    /// Reads from the journal what the index cannot give around a place, and keeps it in memory. Takes as long as reading
    /// the journal does, once for each place. The thread that commits does not wait for that: it is done for it.
    fn heal(&self, place: &UnreadablePlace, error: KvError) -> Result<(), UnhealedPlace> {
        let KvError::Damaged { key, cause } = &error else { return Err(UnhealedPlace { span: None, error }) };
        self.is_found_damaged(key, cause);
        let lost = self.lost.of(&place.from);
        if lost.is_some() {
            return Err(UnhealedPlace { span: lost, error });
        }
        if std::thread::current().name() == Some(WRITER_THREAD) {
            let mut wanted = self.to_heal.lock();
            if wanted.len() < MOST_PLACES && wanted.iter().all(|known| known.from != place.from) {
                wanted.push(place.clone());
            }
            return Err(UnhealedPlace { span: None, error });
        }
        let _one_at_a_time = self.healing.lock();
        let span = around(&self.index.stored(), place);
        let span = span.map_err(|error| UnhealedPlace { span: None, error })?;
        if self.lost.have(&span) {
            return Err(UnhealedPlace { span: Some(span), error });
        }
        if self.unreadable.have(&span) {
            return Ok(());
        }
        self.read_journal(&span).map_err(|UnreadJournal { cause, is_lost }| {
            tracing::error!(error = %cause, "what the index cannot give, the journal cannot give either");
            if is_lost {
                // It is not looked for again each time.
                self.lost.add(span.clone());
            }
            // It harms these records alone.
            let error = KvError::Damaged { key: span.from.clone(), cause };
            UnhealedPlace { span: Some(span.clone()), error }
        })
    }

    /// Heals what the thread that commits met.
    pub fn heal_for_writer(&self, is_stopped: &dyn Fn() -> bool) {
        let places = std::mem::take(&mut *self.to_heal.lock());
        for place in places.into_iter().take_while(|_| !is_stopped()) {
            let cause = "it was met by a commit".to_owned();
            // What cannot be healed is logged there.
            drop(self.heal(&place, KvError::Damaged { key: place.from.clone(), cause }));
        }
    }

    fn read_journal(&self, span: &UnreadableSpan) -> Result<(), UnreadJournal> {
        let _stay = self.journal.hold_files();
        let (folder, until) = (self.journal.folder(), self.journal.durable());
        let mut found = values_within(folder, &self.journal.manifest().segments, until, (span, MOST_KEPT))?;
        // Nothing moves from the overlay to the index from here on; what was committed meanwhile is newer.
        let _turn = self.turn.lock();
        self.later(span, until, &mut found)?;
        found.into_iter().for_each(|(key, value)| self.overlay.pin(key, value));
        self.unreadable.add(span.clone());
        Ok(())
    }

    /// What commits after `until` did.
    fn later(
        &self,
        span: &UnreadableSpan,
        until: u64,
        found: &mut BTreeMap<Vec<u8>, Option<Bytes>>,
    ) -> Result<(), UnreadJournal> {
        let (manifest, end) = self.journal.snapshot();
        let folder = self.journal.folder();
        replay_whole(folder, &manifest.segments, (until, end.lsn), &mut |_, payload| {
            let seen = changes::each(payload, |(key, value)| {
                if span.covers(key) {
                    found.insert(key.to_vec(), value.map(Bytes::copy_from_slice));
                }
            });
            seen.map_err(|cause| UnreadJournal { cause, is_lost: false })
        })
        // It was read whole before.
        .map_err(|unread| UnreadJournal { is_lost: false, ..unread })
    }
}

/// A place that could not be healed.
struct UnhealedPlace {
    /// How far it goes, as far as that is known.
    span: Option<UnreadableSpan>,
    error: KvError,
}
