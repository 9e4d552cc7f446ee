//! What the room's unit tests share: claims, a store of maps and a verifier of plain words, for interleavings that the
//! real ones can't be made to show.

use std::sync::Arc;

use crate::clock::Timestamp;
use crate::token::{Claims, SessionId, SubjectTag, TokenId};

pub(super) const ISSUER: &str = "https://doorward.test";

/// Claims of an own token, good until the year 2100.
pub(super) fn claims(subject: &str) -> Claims {
    let tag = SubjectTag::of(ISSUER, subject);
    Claims {
        issuer: Arc::from(ISSUER),
        own: true,
        subject: subject.into(),
        expires: Timestamp(4_102_444_800),
        issued: Some(Timestamp(1)),
        jti: Some(TokenId::fresh()),
        sid: Some(SessionId::fresh(tag)),
        epoch: 0,
        roles: Vec::new(),
        scope: Vec::new(),
        amr: Vec::new(),
        auth_time: None,
        kid: Arc::from("k1"),
        payload: serde_json::Map::new(),
    }
}
