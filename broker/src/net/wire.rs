//! A connection's buffers. Reads go through one buffer of the thread, so that an
//! idle connection holds none of its own.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::Stream;

/// A socket is read by so many bytes at a time, at most.
pub(crate) const READ_BYTES: usize = 64 * 1024;
/// Buffers above this are given back when they are empty.
const KEPT_BYTES: usize = 2048;
/// How long an ended connection may take to hear why.
const GOODBYE: Duration = Duration::from_millis(500);

thread_local! {
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ_BYTES].into());
}

/// What happened on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// Bytes were added to [`Wire::unread`].
    Read,
    /// All of [`Wire::out`] or some of it was taken.
    Wrote,
    /// The client will send nothing more.
    Ended,
}

/// A stream and its buffers.
pub(crate) struct Wire {
    stream: Stream,
    /// Read and not decoded yet: less than one packet between reads.
    pub(crate) unread: Vec<u8>,
    /// To be written, but for what was written already.
    pub(crate) out: Vec<u8>,
    /// So many bytes of `out` were written.
    written: usize,
    unflushed: bool,
}

impl Wire {
    pub(crate) fn new(stream: Stream) -> Self {
        Self { stream, unread: Vec::new(), out: Vec::new(), written: 0, unflushed: false }
    }

    /// Writes what there is to write and reads at most `read_limit` bytes,
    /// whichever is possible first. Cancel-safe.
    pub(crate) async fn progress(&mut self, read_limit: usize) -> io::Result<Progress> {
        poll_fn(|cx| self.poll_progress(cx, || read_limit)).await
    }

    /// The same with a limit that is asked for when there is something to read; it
    /// may change meanwhile, but neither become 0 nor cease to be.
    pub(crate) fn poll_progress(
        &mut self,
        cx: &mut Context<'_>,
        read_limit: impl Fn() -> usize,
    ) -> Poll<io::Result<Progress>> {
        let wrote = self.poll_out(cx)?;
        let read_limit = read_limit();
        if read_limit > 0
            && let Poll::Ready(read) = self.poll_in(cx, read_limit)
        {
            return Poll::Ready(read);
        }
        if wrote { Poll::Ready(Ok(Progress::Wrote)) } else { Poll::Pending }
    }

    /// Writes what can be written at once; whether that was anything.
    pub(crate) async fn write_now(&mut self) -> io::Result<bool> {
        poll_fn(|cx| Poll::Ready(self.poll_out(cx))).await
    }

    fn poll_out(&mut self, cx: &mut Context<'_>) -> io::Result<bool> {
        let mut wrote = false;
        while self.owed_bytes() > 0 {
            match Pin::new(&mut self.stream).poll_write(cx, &self.out[self.written..]) {
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(written)) => {
                    self.written += written;
                    (wrote, self.unflushed) = (true, true);
                }
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Pending => break,
            }
        }
        if wrote {
            self.out.drain(..self.written);
            self.written = 0;
            release(&mut self.out);
        }
        if self.unflushed && Pin::new(&mut self.stream).poll_flush(cx)?.is_ready() {
            self.unflushed = false;
        }
        Ok(wrote)
    }

    fn poll_in(&mut self, cx: &mut Context<'_>, limit: usize) -> Poll<io::Result<Progress>> {
        SCRATCH.with_borrow_mut(|scratch| {
            let mut buffer = ReadBuf::new(&mut scratch[..limit.min(READ_BYTES)]);
            std::task::ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer))?;
            if buffer.filled().is_empty() {
                return Poll::Ready(Ok(Progress::Ended));
            }
            self.unread.extend_from_slice(buffer.filled());
            Poll::Ready(Ok(Progress::Read))
        })
    }

    /// Bytes that wait to be written.
    pub(crate) fn owed_bytes(&self) -> usize {
        self.out.len() - self.written
    }

    /// Puts back what was taken out of [`Wire::unread`], but for the first `used`
    /// bytes.
    pub(crate) fn put_back(&mut self, mut unread: Vec<u8>, used: usize) {
        unread.drain(..used);
        release(&mut unread);
        self.unread = unread;
    }

    /// Sends what is left to say and closes. Reads on for a moment, since bytes
    /// that arrive at a closed socket would throw away what the client has not
    /// read yet.
    pub(crate) async fn close(mut self) {
        let goodbye = async {
            while self.owed_bytes() > 0 || self.unflushed {
                if self.progress(0).await.is_err() {
                    return;
                }
                if self.owed_bytes() == 0 && self.unflushed {
                    let flush = poll_fn(|cx| Pin::new(&mut self.stream).poll_flush(cx));
                    if flush.await.is_err() {
                        return;
                    }
                    self.unflushed = false;
                }
            }
            let shutdown = poll_fn(|cx| Pin::new(&mut self.stream).poll_shutdown(cx));
            if shutdown.await.is_err() {
                return;
            }
            while matches!(self.progress(READ_BYTES).await, Ok(Progress::Read)) {
                self.unread.clear();
            }
        };
        // Who does not listen in time hears nothing: the connection ends anyhow.
        let _ = tokio::time::timeout(GOODBYE, goodbye).await;
    }
}

fn release(buffer: &mut Vec<u8>) {
    if buffer.is_empty() && buffer.capacity() > KEPT_BYTES {
        *buffer = Vec::new();
    }
}
