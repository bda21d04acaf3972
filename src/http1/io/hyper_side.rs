//! The side of a connection that hyper reads requests from and writes answers to.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use hyper::rt::{Read, ReadBufCursor, Write};
use tokio::io::{AsyncRead, AsyncWrite};

use super::{HyperStream, Phase};

impl<T: AsyncRead + AsyncWrite + Unpin> Read for HyperStream<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut cursor: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let wire = self.get_mut();
        if let Phase::Head(_) | Phase::Body(..) = wire.phase {
            ready!(wire.poll_request(cx))?;
        }
        match wire.phase {
            Phase::Handing(_) => match wire.hand(&mut cursor) {
                Ok(()) => Poll::Ready(Ok(())),
                Err(fault) => wire.refuse(fault),
            },
            Phase::Answering => {
                wire.watch(cx);
                Poll::Pending
            }
            Phase::Head(_) | Phase::Body(..) | Phase::Ended => Poll::Ready(Ok(())),
        }
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> Write for HyperStream<T> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let wire = self.get_mut();
        let written = Pin::new(&mut wire.io).poll_write(cx, bytes);
        wire.patient(cx, written, |bytes| *bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let wire = self.get_mut();
        let written = Pin::new(&mut wire.io).poll_write_vectored(cx, pieces);
        wire.patient(cx, written, |bytes| *bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    /// hyper flushes only when it has written all it has, so after an answer this is the turn. Before it, hyper hears of
    /// no failure: it would drop the handler, and TLS has an alert to send where a client goes on with garbage.
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let wire = self.get_mut();
        let flushed = Pin::new(&mut wire.io).poll_flush(cx);
        if let Phase::Handing(_) | Phase::Answering = wire.phase
            && !wire.slot.is_answered()
        {
            return Poll::Ready(Ok(()));
        }
        ready!(wire.patient(cx, flushed, |()| 0))?;
        if let Phase::Answering = wire.phase
            && wire.slot.take_answered()
        {
            wire.turn(cx);
        }
        Poll::Ready(Ok(()))
    }

    /// hyper never shuts the stream: the connection's last words are not hyper's to say.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(cx)
    }
}
