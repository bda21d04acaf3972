//! The stream hyper reads and writes: it lets one whole request through at a time, and no other byte.

mod hyper_side;

use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::rt::ReadBufCursor;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tracing::error;

use super::body::{BodyProgress, Framer};
use super::head::{self, Head, HeadSearch};
use super::memory::{BodySender, MemoryHold};
use super::refusal::{HttpRefusal, part};
use super::slot::{ConnectionSlot, SenderPolicy};
use super::target::RawHead;
use super::timer::{ConnectionWait, Timer, WriteTime};
use super::{ConnectionLimits, Refusal};
use crate::clock;

/// Read at least this much at a time.
const READ_BYTES: usize = 4096;
/// A buffer that grew beyond this is given back when the connection falls idle.
const KEEP_BYTES: usize = 16 * 1024;
/// How much of a refused request is kept.
pub(super) const REFUSED_BYTES: usize = 2048;
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// How far the current request is.
enum Phase {
    /// Its head is being collected, or nothing of it has come.
    Head(HeadSearch),
    /// Its head is read; the body is being collected.
    Body(Head, Framer),
    /// It is whole and on its way to hyper.
    Handing(ByteSource),
    /// hyper has it; nothing more is handed on until the answer is written.
    Answering,
    /// Nothing will be handed on any more.
    Ended,
}

/// Which bytes hyper is given.
enum ByteSource {
    /// The ones that were received, up to this offset of the inbox.
    AsReceived(usize),
    /// The rewritten message in the outbox; this much of it is handed on.
    Rewritten(usize),
}

/// A stream between the client and hyper. See the module's first page for what it is for.
pub struct HyperStream<T> {
    io: T,
    limits: Arc<ConnectionLimits>,
    sender: Box<dyn SenderPolicy>,
    slot: Arc<ConnectionSlot>,
    hold: MemoryHold,
    /// What the client has sent; what is before `start` is done with.
    inbox: Vec<u8>,
    start: usize,
    outbox: Vec<u8>,
    phase: Phase,
    number: u64,
    /// What is still to be sent of `100 Continue`.
    interim: &'static [u8],
    /// The client has sent its last byte.
    at_end: bool,
    /// One empty line before a request line has been skipped.
    skipped_blank: bool,
    timer: Timer,
    write_time: WriteTime,
    refused: Option<Refusal>,
}

impl<T: AsyncRead + AsyncWrite + Unpin> HyperStream<T> {
    /// A wire over a stream on which no byte has been read.
    pub fn new(
        io: T,
        limits: Arc<ConnectionLimits>,
        sender: Box<dyn SenderPolicy>,
        (slot, hold): (Arc<ConnectionSlot>, MemoryHold),
    ) -> HyperStream<T> {
        HyperStream {
            io,
            write_time: WriteTime::new(limits.write),
            limits,
            sender,
            slot,
            hold,
            inbox: Vec::new(),
            start: 0,
            outbox: Vec::new(),
            phase: Phase::Head(HeadSearch::default()),
            number: 0,
            interim: &[],
            at_end: false,
            skipped_blank: false,
            timer: Timer::default(),
            refused: None,
        }
    }

    /// What is left when hyper has let go of the wire: the stream, what was refused, and whether the
    /// client may have sent bytes that no one read.
    pub fn into_rest(self) -> (T, Option<Refusal>, bool) {
        let unhanded = matches!(self.phase, Phase::Body(..) | Phase::Handing(_));
        let unread = unhanded || self.has_unread();
        (self.io, self.refused, unread && !self.at_end)
    }

    fn has_unread(&self) -> bool {
        self.start < self.inbox.len()
    }

    /// Moves on as far as the bytes at hand allow; true once a whole request is ready for hyper.
    fn advance(&mut self) -> Result<bool, HttpRefusal> {
        if let Phase::Head(_) = self.phase {
            self.skip_blank()?;
        }
        let unread = part(&self.inbox, self.start..)?;
        if let Phase::Head(search) = &mut self.phase {
            if unread.is_empty() || (unread == b"\r" && !self.skipped_blank) {
                return Ok(false);
            }
            let Some(length) = search.find(unread, &self.limits)? else {
                return Ok(false);
            };
            let bytes = part(unread, ..length)?;
            let head = head::read(bytes)?;
            let larger = || self.sender.larger_body(head.target.path(bytes)?, bytes);
            let framer = Framer::new(&head, self.limits.body_bytes, &larger)?;
            let awaits_body = !matches!(framer, Framer::Length(0));
            if head.expects_continue && awaits_body && unread.len() == length {
                self.interim = CONTINUE;
            }
            self.phase = Phase::Body(head, framer);
        }
        self.collect_body()
    }

    /// Old clients end a body with an empty line that is not part of it (RFC 9112 §2.2).
    fn skip_blank(&mut self) -> Result<(), HttpRefusal> {
        if !self.skipped_blank && part(&self.inbox, self.start..)?.starts_with(b"\r\n") {
            self.skipped_blank = true;
            self.start += 2;
        }
        Ok(())
    }

    fn collect_body(&mut self) -> Result<bool, HttpRefusal> {
        let Phase::Body(head, framer) = &mut self.phase else {
            return Ok(false);
        };
        let body_at = self.start + head.length;
        match framer {
            Framer::Length(length) => {
                if self.inbox.len() < body_at + *length {
                    return Ok(false);
                }
            }
            Framer::Chunked(chunked) => {
                let bytes = part(&self.inbox, self.start..body_at)?;
                let larger = || self.sender.larger_body(head.target.path(bytes)?, bytes);
                let BodyProgress::Complete(used) = chunked.feed(part(&self.inbox, body_at..)?, &larger)?
                else {
                    self.inbox.truncate(body_at);
                    return Ok(false);
                };
                self.inbox.drain(body_at..body_at + used);
            }
        }
        self.hand_on()
    }

    /// The request is whole: leaves its head in the slot and lays out the bytes for hyper.
    fn hand_on(&mut self) -> Result<bool, HttpRefusal> {
        let Phase::Body(head, framer) = std::mem::replace(&mut self.phase, Phase::Answering) else {
            return Ok(false);
        };
        let unread = part(&self.inbox, self.start..)?;
        let bytes = part(unread, ..head.length)?;
        self.number += 1;
        let line = part(bytes, head.line.clone())?;
        let raw = RawHead::new(self.number, line, &head.target, head::repaired(line, &head)?)?;
        let source = match (&framer, head.needs_rewrite) {
            (Framer::Length(length), false) => ByteSource::AsReceived(self.start + head.length + length),
            (framer, _) => {
                self.outbox.clear();
                let (chunked, body) = match framer {
                    Framer::Length(length) => (None, part(unread, head.length..head.length + length)?),
                    Framer::Chunked(chunked) => (Some(chunked.body().len()), chunked.body()),
                };
                head::rewrite(bytes, &head, raw.handed(), chunked, &mut self.outbox)?;
                self.outbox.extend_from_slice(body);
                self.start += head.length + if chunked.is_some() { 0 } else { body.len() };
                ByteSource::Rewritten(0)
            }
        };
        self.slot.put(raw);
        self.phase = Phase::Handing(source);
        self.timer.stop();
        self.slot.idle().answer();
        Ok(true)
    }

    /// Gives hyper the next bytes of the message it is to read.
    fn hand(&mut self, cursor: &mut ReadBufCursor<'_>) -> Result<(), HttpRefusal> {
        let room = cursor.remaining();
        let Phase::Handing(source) = &mut self.phase else {
            return Ok(());
        };
        let rest = match source {
            ByteSource::AsReceived(end) => part(&self.inbox, self.start..*end),
            ByteSource::Rewritten(at) => part(&self.outbox, *at..),
        }?;
        // All of it, where there is room for more.
        let piece = rest.get(..room).unwrap_or(rest);
        cursor.put_slice(piece);
        let done = piece.len() == rest.len();
        match source {
            ByteSource::AsReceived(_) => self.start += piece.len(),
            ByteSource::Rewritten(at) => *at += piece.len(),
        }
        if done {
            self.phase = Phase::Answering;
            self.tidy();
        }
        Ok(())
    }

    /// Forgets bytes that are done with; cheap where nothing is behind them.
    fn tidy(&mut self) {
        if self.start >= self.inbox.len() {
            self.inbox.clear();
        } else {
            self.inbox.drain(..self.start);
        }
        self.start = 0;
        self.inbox.shrink_to(KEEP_BYTES);
        self.outbox.clear();
        self.outbox.shrink_to(KEEP_BYTES);
    }

    /// Reads from the client; zero bytes at its end.
    fn fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.inbox.reserve(READ_BYTES);
        let read = ready!(pin!(self.io.read_buf(&mut self.inbox)).poll(cx));
        match read {
            Ok(0) | Err(_) => self.at_end = true,
            Ok(_) => self.slot.idle().wake_up(),
        }
        Poll::Ready(read)
    }

    /// While hyper waits for the handler: notes what the client does, and says nothing to hyper. A client
    /// that hangs up must not cancel a write that is under way, and its next request must wait.
    fn watch(&mut self, cx: &mut Context<'_>) {
        while !self.at_end && !self.has_unread() {
            if self.fill(cx).is_pending() {
                return;
            }
        }
    }

    /// The answer is written: the next request may come.
    fn turn(&mut self, cx: &mut Context<'_>) {
        self.phase = Phase::Head(HeadSearch::default());
        self.skipped_blank = false;
        self.hold.give_back();
        // hyper was asked to wait and may not ask again before it is woken: by the socket, by the alarm,
        // or, where bytes are here already, by us.
        let idle = !self.at_end && !self.has_unread();
        if !idle || self.timer.poll(cx, ConnectionWait::Next, &self.limits).is_ready() {
            cx.waker().wake_by_ref();
        }
        if idle {
            self.rest();
        }
    }

    /// Notes that the connection rests, from when on it has waited for a request.
    fn rest(&self) {
        if let Some(since) = self.timer.since() {
            self.slot.idle().rest(since);
        }
    }

    /// Keeps the refusal for the one who closes the connection; hyper only sees the stream end.
    fn refuse(&mut self, why: HttpRefusal) -> Poll<io::Result<()>> {
        if why == HttpRefusal::MISCOUNTED {
            error!("positions within a request lie outside its bytes; the connection is closed");
        }
        let unread = self.inbox.iter().skip(self.start).take(REFUSED_BYTES);
        let mut line: Vec<u8> = unread.take_while(|b| **b != b'\n').copied().collect();
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        self.refused = Some(Refusal { why, line });
        self.end()
    }

    fn end(&mut self) -> Poll<io::Result<()>> {
        self.phase = Phase::Ended;
        Poll::Ready(Ok(()))
    }

    /// Whether what is collected may take the memory that it takes.
    fn has_memory(&mut self) -> bool {
        let chunked = if let Phase::Body(_, framer) = &self.phase { framer.capacity() } else { 0 };
        let bytes = self.inbox.capacity() + chunked;
        self.hold.covers(bytes)
            || self.hold.grow_to(bytes, BodySender::Stranger)
            || (self.is_known() && self.hold.grow_to(bytes, BodySender::Known))
    }

    /// Whether the sender is known: a larger body is taken of no one else.
    fn is_known(&self) -> bool {
        let Phase::Body(head, framer) = &self.phase else { return false };
        let bytes = self.inbox.get(self.start..).unwrap_or_default();
        framer.limit() > self.limits.body_bytes
            || head.target.path(bytes).is_ok_and(|path| self.sender.is_known(path))
    }

    /// What is waited for at this point, by what has come so far.
    fn waiting(&self) -> ConnectionWait {
        match &self.phase {
            Phase::Body(..) => ConnectionWait::Body,
            _ if self.has_unread() => ConnectionWait::Head,
            _ if self.number == 0 => ConnectionWait::First,
            _ => ConnectionWait::Next,
        }
    }

    /// Collects the next request; ready when it is whole, or when none will come.
    fn poll_request(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            match self.advance() {
                Ok(true) => return Poll::Ready(Ok(())),
                Ok(false) if self.has_memory() => {}
                Ok(false) => return self.refuse(HttpRefusal::NO_MEMORY),
                Err(fault) => return self.refuse(fault),
            }
            let waiting = self.waiting();
            let nothing_received = matches!(waiting, ConnectionWait::First | ConnectionWait::Next);
            if self.at_end {
                return if nothing_received { self.end() } else { self.refuse(HttpRefusal::CUT_OFF) };
            }
            if let Poll::Ready(Err(error)) = self.poll_interim(cx) {
                return Poll::Ready(Err(error));
            }
            if self.fill(cx).is_ready() {
                continue;
            }
            if nothing_received && self.slot.is_stopping() {
                return self.end();
            }
            if self.slot.is_cut() {
                return self.refuse(HttpRefusal::CROWDED_OUT);
            }
            let rung = self.timer.poll(cx, waiting, &self.limits);
            if nothing_received {
                self.rest();
            } else if let Some(since) = self.timer.since() {
                self.slot.idle().wait_halfway(since);
            }
            ready!(rung);
            return match waiting {
                ConnectionWait::Head => self.refuse(SLOW_HEAD),
                ConnectionWait::Body => self.refuse(SLOW_BODY),
                _ => self.end(),
            };
        }
    }

    /// Sends what is left of `100 Continue`. hyper writes nothing while a request is being collected.
    fn poll_interim(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.interim.is_empty() {
            return Poll::Ready(Ok(()));
        }
        while !self.interim.is_empty() {
            let written = ready!(Pin::new(&mut self.io).poll_write(cx, self.interim))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            let rest = self.interim.get(written..);
            self.interim = rest.ok_or_else(|| io::Error::other("the stream took more than it was given"))?;
        }
        Pin::new(&mut self.io).poll_flush(cx)
    }

    /// A client that leaves its answers untaken ends the connection: they cost no more than its time. `taken`
    /// is how many bytes a write that was done has handed over.
    fn patient<V>(
        &mut self,
        cx: &mut Context<'_>,
        write: Poll<io::Result<V>>,
        taken: impl FnOnce(&V) -> usize,
    ) -> Poll<io::Result<V>> {
        if let Poll::Ready(done) = write {
            if !self.write_time.is_whole()
                && self.write_time.take(done.as_ref().map_or(0, taken), clock::stopwatch())
            {
                self.timer.stop();
                self.slot.idle().answer();
            }
            return Poll::Ready(done);
        }
        if self.slot.is_cut() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        let (ends, counts_from) = self.write_time.block(clock::stopwatch(), UNTAKEN);
        self.slot.idle().wait_halfway(counts_from);
        self.timer.poll_at(cx, ends).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

/// A client that has left its answers untaken for so long may lose its place to another.
const UNTAKEN: Duration = Duration::from_secs(5);
const SLOW_HEAD: HttpRefusal = HttpRefusal::slow("the request's head did not arrive in time");
const SLOW_BODY: HttpRefusal = HttpRefusal::slow("the request's body did not arrive in time");
