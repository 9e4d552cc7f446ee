//! gRPC over HTTP/2 by hand, as far as one unary call needs it: a message in, a message and `grpc-status` out. A library
//! answers a message that is too long or does not decode with an RPC error; Envoy may let those pass (contract rule 5).

use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Response};
use http_body_util::BodyExt;
use prost::Message;
use tonic::Code;

use crate::gate::body::Body;

const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");
static GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
static GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// One flag byte and the length, before each message.
const PREFIX: usize = 5;

/// Why there is no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum FrameError {
    #[error("the message did not arrive whole")]
    Cut,
    #[error("the message is compressed, too long, or not alone")]
    Refused,
}

pub(super) fn is_grpc(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(GRPC.as_bytes()))
}

/// Reads the one message of a unary call: at most `longest` bytes, refused by its announced length before they come.
pub(super) async fn read<B>(mut body: B, longest: usize, within: Duration) -> Result<Bytes, FrameError>
where
    B: http_body::Body<Data = Bytes> + Unpin,
{
    let whole = async {
        let mut got = Bytes::new();
        loop {
            match body.frame().await {
                // Nearly always all of it comes at once, and is taken as it is.
                Some(Ok(frame)) if got.is_empty() => got = frame.into_data().unwrap_or_default(),
                Some(Ok(frame)) => {
                    let mut more = BytesMut::from(got);
                    more.extend_from_slice(&frame.into_data().unwrap_or_default());
                    got = more.freeze();
                }
                Some(Err(_)) | None => return Err(FrameError::Cut),
            }
            if let Some(mut prefix) = got.get(..PREFIX) {
                let (flags, length) = (prefix.get_u8(), prefix.get_u32() as usize);
                if flags != 0 || length > longest || got.len() > PREFIX + length {
                    return Err(FrameError::Refused);
                }
                if got.len() == PREFIX + length {
                    return Ok(got.split_off(PREFIX));
                }
            }
        }
    };
    tokio::time::timeout(within, whole).await.unwrap_or(Err(FrameError::Cut))
}

/// A message as it is sent.
pub(super) fn message(message: &impl Message) -> Bytes {
    let length = message.encoded_len();
    let mut bytes = BytesMut::with_capacity(PREFIX + length);
    bytes.put_u8(0);
    bytes.put_u32(length as u32);
    message.encode(&mut bytes).expect("the buffer has room for it");
    bytes.freeze()
}

/// The answer to a unary call that worked: RPC status OK.
pub(super) fn answer(message: Bytes) -> Response<Body> {
    let trailers = HeaderMap::from_iter([(GRPC_STATUS.clone(), HeaderValue::from_static("0"))]);
    with_type(Response::new(Body::message(message, trailers)))
}

/// For methods nobody serves.
pub(super) fn unimplemented() -> Response<Body> {
    let mut response = with_type(Response::new(Body::empty()));
    response.headers_mut().insert(&GRPC_STATUS, (Code::Unimplemented as i32).into());
    response
}

/// How long the caller still waits, less a tenth for the way back: an answer after its deadline would be an RPC error.
/// The header is at most 8 digits and a unit.
pub(super) fn budget(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(&GRPC_TIMEOUT)?.to_str().ok()?;
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let number = number.parse::<u32>().ok().filter(|_| number.len() <= 8)?;
    let unit = match unit {
        "H" => Duration::from_secs(3600),
        "M" => Duration::from_secs(60),
        "S" => Duration::from_secs(1),
        "m" => Duration::from_millis(1),
        "u" => Duration::from_micros(1),
        "n" => Duration::from_nanos(1),
        _ => return None,
    };
    Some(unit * number * 9 / 10)
}

fn with_type(mut response: Response<Body>) -> Response<Body> {
    response.headers_mut().insert(CONTENT_TYPE, GRPC);
    response
}

#[cfg(test)]
mod tests {
    use http_body_util::Full;

    use super::*;

    async fn read_of(bytes: &[u8]) -> Result<Bytes, FrameError> {
        read(Full::new(Bytes::copy_from_slice(bytes)), 3, Duration::from_secs(1)).await
    }

    // SEC-D1
    #[tokio::test]
    async fn one_plain_message_of_a_fair_length_is_read() {
        assert_eq!(read_of(b"\0\0\0\0\x03abc").await.as_deref(), Ok(&b"abc"[..]));
        assert_eq!(read_of(b"\0\0\0\0\0").await.as_deref(), Ok(&b""[..]));
        for refused in [&b"\0\0\0\0\x04abcd"[..], b"\x01\0\0\0\x01a", b"\0\0\0\0\x01ab", b"\0\xff\xff\xff\xff"] {
            assert_eq!(read_of(refused).await, Err(FrameError::Refused), "{refused:?}");
        }
        for cut in [&b""[..], b"\0\0\0", b"\0\0\0\0\x03ab"] {
            assert_eq!(read_of(cut).await, Err(FrameError::Cut), "{cut:?}");
        }
    }

    #[test]
    fn the_callers_deadline_is_read_and_kept_a_little_early() {
        let of = |text: &str| budget(&HeaderMap::from_iter([(GRPC_TIMEOUT.clone(), text.parse().unwrap())]));
        assert_eq!(of("200m"), Some(Duration::from_millis(180)));
        assert_eq!(of("1S"), Some(Duration::from_millis(900)));
        assert_eq!(of("99999999H"), Some(Duration::from_secs(99_999_999) * 3240));
        for text in ["", "m", "1", "1x", "-1m", "123456789m"] {
            assert_eq!(of(text), None, "{text:?}");
        }
    }
}
