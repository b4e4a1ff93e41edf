//! [`Unread`]: long answers that their clients have not read yet. They are in memory until they are, so their bytes are counted, by
//! who asked; and they are kept in pieces, so that what is read is free.

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, to_bytes};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use boxbox_schemas::places::Group;
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use parking_lot::Mutex;

use crate::problem::Problem;
use crate::who::Who;

/// Bytes of all answers that are not read yet.
const ALL_MAX_BYTES: usize = 96 << 20;
/// Of these, for one driver or one address: the longest answer, and some usual ones.
const ONE_MAX_BYTES: usize = 40 << 20;
/// Of these, for one tenant or one network of several addresses.
const TENANT_MAX_BYTES: usize = 56 << 20;
/// The longest answer. The longest trace with all channels has 20 MiB.
const ANSWER_MAX_BYTES: usize = 32 << 20;
/// Of all, for those without a grant.
const UNNAMED_MAX_BYTES: usize = 48 << 20;
/// What is freed at once.
const PIECE_BYTES: usize = 64 << 10;

pub(crate) struct Unread {
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    all: usize,
    unnamed: usize,
    by: HashMap<Group, usize>,
}

impl Unread {
    pub(crate) fn new() -> Self {
        Self { held: Mutex::default() }
    }

    /// The same answer, counted until it is read. An error: this client has too many already, or all have.
    pub(crate) async fn hold(self: &Arc<Self>, who: &Who, response: Response) -> Result<Response, ()> {
        let (head, body) = response.into_parts();
        let Ok(whole) = to_bytes(body, ANSWER_MAX_BYTES).await else {
            let why = format!("The answer would have more than {} MiB: ask for fewer channels, or for less of it.", ANSWER_MAX_BYTES >> 20);
            return Ok(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "answer_too_long", why).into_response());
        };
        let owed = self.owe(who, whole.len()).ok_or(())?;
        // Copies: what is made of a buffer that doubled has up to twice the bytes, and no part of it would be free before all is.
        let pieces = whole.chunks(PIECE_BYTES).map(Bytes::copy_from_slice).collect();
        Ok(Response::from_parts(head, Body::new(Pieces { pieces, left: whole.len(), owed })))
    }

    fn owe(self: &Arc<Self>, who: &Who, bytes: usize) -> Option<Owed> {
        let groups: Vec<Group> = who.groups().collect();
        let held = &mut *self.held.lock();
        let fits = |group: &Group| {
            let most = match group {
                Group::V6 { bits: ..56, .. } | Group::Tenant(_) => TENANT_MAX_BYTES,
                _ => ONE_MAX_BYTES,
            };
            held.by.get(group).copied().unwrap_or(0) + bytes <= most
        };
        let unnamed = if who.holder.is_none() { bytes } else { 0 };
        if held.all + bytes > ALL_MAX_BYTES || held.unnamed + unnamed > UNNAMED_MAX_BYTES || !groups.iter().all(fits) {
            return None;
        }
        held.all += bytes;
        held.unnamed += unnamed;
        groups.iter().for_each(|group| *held.by.entry(*group).or_default() += bytes);
        Some(Owed { of: self.clone(), groups, is_unnamed: who.holder.is_none(), bytes })
    }
}

/// Bytes that are counted until it is dropped.
struct Owed {
    of: Arc<Unread>,
    groups: Vec<Group>,
    is_unnamed: bool,
    bytes: usize,
}

impl Owed {
    fn pay(&mut self, bytes: usize) {
        let held = &mut *self.of.held.lock();
        self.bytes -= bytes;
        held.all -= bytes;
        if self.is_unnamed {
            held.unnamed -= bytes;
        }
        for group in &self.groups {
            if let Some(of_group) = held.by.get_mut(group) {
                *of_group -= bytes;
                if *of_group == 0 {
                    held.by.remove(group);
                }
            }
        }
    }
}

impl Drop for Owed {
    fn drop(&mut self) {
        self.pay(self.bytes);
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
