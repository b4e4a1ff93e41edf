//! [`WriteTimeout`]: a connection whose peer must read what is written to it within a time limit, and at a pace.
//!
//! hyper waits for ever for a client that requests much and reads nothing, or a byte now and then; each such client would hold a
//! connection and its answer in memory.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

/// What a client must at least take within the time limit while more waits for it, if that is more than this: with a limit of 10 s
/// 6.4 KiB/s, less than any connection on which a page can be used.
const PACE_BYTES: usize = 64 << 10;

pub(crate) struct WriteTimeout<S> {
    inner: S,
    timeout: Duration,
    /// Since a write had to wait.
    waiting: Option<Waiting>,
}

struct Waiting {
    timer: Pin<Box<Sleep>>,
    taken: usize,
}

impl<S: AsyncWrite + Unpin> WriteTimeout<S> {
    pub(crate) fn new(inner: S, timeout: Duration) -> Self {
        Self { inner, timeout, waiting: None }
    }

    /// Passes a write on; from the first that has to wait, the timer runs until enough is taken, or all.
    fn timed(
        &mut self,
        cx: &mut Context<'_>,
        write: impl FnOnce(Pin<&mut S>, &mut Context<'_>) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if let Poll::Ready(done) = write(Pin::new(&mut self.inner), cx) {
            if let (Some(waiting), Ok(taken)) = (&mut self.waiting, &done) {
                waiting.taken += taken;
                if waiting.taken >= PACE_BYTES {
                    self.waiting = None;
                }
            }
            return Poll::Ready(done);
        }
        self.wait(cx).map(Err)
    }

    fn wait(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        let timeout = self.timeout;
        let waiting = self.waiting.get_or_insert_with(|| Waiting { timer: Box::pin(tokio::time::sleep(timeout)), taken: 0 });
        ready!(waiting.timer.as_mut().poll(cx));
        Poll::Ready(io::Error::new(io::ErrorKind::TimedOut, "the client does not read its answer"))
    }

    /// As [`Self::timed`], for what ends a text: hyper flushes when it has written all that it has.
    fn ended(&mut self, cx: &mut Context<'_>, end: impl FnOnce(Pin<&mut S>, &mut Context<'_>) -> Poll<io::Result<()>>) -> Poll<io::Result<()>> {
        if let Poll::Ready(done) = end(Pin::new(&mut self.inner), cx) {
            self.waiting = None;
            return Poll::Ready(done);
        }
        self.wait(cx).map(Err)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for WriteTimeout<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for WriteTimeout<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.timed(cx, |inner, cx| inner.poll_write(cx, buf))
    }
    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bufs: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        self.timed(cx, |inner, cx| inner.poll_write_vectored(cx, bufs))
    }
    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.ended(cx, |inner, cx| inner.poll_flush(cx))
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.ended(cx, |inner, cx| inner.poll_shutdown(cx))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// Whether a text of 300 KB gets through to a client that takes `bytes` every 50 ms, with a limit of 500 ms.
    async fn gets_through(bytes: usize) -> Result<(), io::ErrorKind> {
        let (server, mut client) = tokio::io::duplex(1_024);
        let reader = tokio::spawn(async move {
            let mut taken = vec![0; bytes];
            while client.read_exact(&mut taken).await.is_ok() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
        let mut server = WriteTimeout::new(server, Duration::from_millis(500));
        let began = Instant::now();
        let written =
            tokio::time::timeout(Duration::from_secs(20), server.write_all(&vec![7; 300_000])).await.expect("it is cut off, or gets through");
        reader.abort();
        assert!(written.is_ok() || began.elapsed() >= Duration::from_millis(500), "cut off before its time");
        written.map_err(|e| e.kind())
    }

    #[tokio::test]
    async fn a_client_that_takes_little_now_and_then_is_cut_off_as_one_that_takes_nothing() {
        assert_eq!(gets_through(600).await, Err(io::ErrorKind::TimedOut));
        assert_eq!(gets_through(60_000).await, Ok(()));
    }
}
