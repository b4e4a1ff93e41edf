//! [`Unread`]: long answers that their clients have not read yet. They are in memory until they are, so their bytes are counted, by
//! who asked; and they are kept in pieces, so that what is read is free.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, to_bytes};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};

use crate::held::{Bounds, Held, Owed};
use crate::problem::Problem;
use crate::who::Who;

/// Bytes of answers that are not read yet. One driver or address: the longest answer, and some usual ones.
const BOUNDS: Bounds = Bounds { all: 96 << 20, one: 40 << 20, tenant: 56 << 20, unnamed: 48 << 20 };
/// The longest answer. The longest trace with all channels has 20 MiB.
const ANSWER_MAX_BYTES: usize = 32 << 20;
/// What is freed at once.
const PIECE_BYTES: usize = 64 << 10;

pub(crate) struct Unread {
    held: Arc<Held>,
}

impl Unread {
    pub(crate) fn new() -> Self {
        Self { held: Held::new(BOUNDS) }
    }

    /// The same answer, counted until it is read. An error: this client has too many already, or all have.
    pub(crate) async fn hold(&self, who: &Who, response: Response) -> Result<Response, ()> {
        let (head, body) = response.into_parts();
        let Ok(whole) = to_bytes(body, ANSWER_MAX_BYTES).await else {
            let why = format!("The answer would have more than {} MiB: ask for fewer channels, or for less of it.", ANSWER_MAX_BYTES >> 20);
            return Ok(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "answer_too_long", why).into_response());
        };
        let owed = self.held.take(who, whole.len()).ok_or(())?;
        // Copies: what is made of a buffer that doubled has up to twice the bytes, and no part of it would be free before all is.
        let pieces = whole.chunks(PIECE_BYTES).map(Bytes::copy_from_slice).collect();
        Ok(Response::from_parts(head, Body::new(Pieces { pieces, left: whole.len(), owed })))
    }
}

/// An answer in pieces.
struct Pieces {
    pieces: VecDeque<Bytes>,
    left: usize,
    owed: Owed,
}

impl hyper::body::Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let Some(piece) = self.pieces.pop_front() else { return Poll::Ready(None) };
        self.left -= piece.len();
        // hyper asks for the next when there is room to send it.
        self.owed.pay(piece.len());
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.pieces.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left as u64)
    }
}
