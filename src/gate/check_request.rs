//! What Envoy's `CheckRequest` says, looked up in its bytes. Called by `envoy_grpc`.
//!
//! Envoy sends some hundred fields, most of them headers, and prost would make a text or a map of each. A check is about a
//! dozen. What is looked up means the same as to prost: of a field that stands twice the last counts, messages
//! that stand twice are merged, and a list goes on.

use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, COOKIE, ORIGIN};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::gate::asked::{Asked, Page};
use crate::gate::wire::{Fields, Malformed, Value};
use crate::listen::peer::Peer;

/// Where an Envoy route names itself, in `context_extensions`: set by Envoy's configuration, never by a client.
const ROUTE: &str = "doorward.route";

/// The original request's headers that are read; no other is looked at.
static READ: [HeaderName; 7] = [
    AUTHORIZATION,
    COOKIE,
    ACCEPT,
    ORIGIN,
    HeaderName::from_static("sec-fetch-site"),
    HeaderName::from_static("x-forwarded-for"),
    HeaderName::from_static("x-request-id"),
];

/// What a `CheckRequest` says.
#[derive(Debug, Default)]
pub(super) struct Said<'a> {
    method: &'a str,
    host: &'a str,
    path: &'a str,
    scheme: &'a str,
    route: &'a str,
    /// Whether an HTTP request stands in it.
    http: bool,
    source: Source<'a>,
    /// Those of [`READ`], each line by itself.
    pub(super) headers: HeaderMap,
}

/// Envoy's peer.
#[derive(Debug, Default)]
enum Source<'a> {
    #[default]
    Unknown,
    Socket {
        address: &'a str,
        named_port: bool,
    },
}

/// The headers as they are written: joined lines in a map, or with `encode_raw_headers` a list of single lines. Were both
/// filled, a token in each would be two tokens.
#[derive(Default)]
struct Lines<'a> {
    /// With the key as it was spelled: of one spelling the last counts.
    joined: Vec<(&'a [u8], &'static HeaderName, &'a [u8])>,
    listed: Vec<(&'static HeaderName, &'a [u8])>,
}

impl<'a> Said<'a> {
    /// # Errors
    /// Bytes that are no `CheckRequest`, or header lines that no header can hold.
    pub(super) fn by(message: &'a Bytes) -> Result<Self, Malformed> {
        let (mut said, mut lines) = (Self::default(), Lines::default());
        let mut fields = Fields::of(message);
        while let Some((number, value)) = fields.next()? {
            if number == 1 {
                said.read_attributes(value.fields()?, &mut lines)?;
            }
        }
        let joined = lines.joined.iter().map(|(_, name, value)| (*name, *value));
        for (name, value) in joined.chain(lines.listed) {
            // A share of the message: most of it is the token.
            let value = HeaderValue::from_maybe_shared(message.slice_ref(value)).map_err(|_| Malformed)?;
            said.headers.try_append(name.clone(), value).map_err(|_| Malformed)?;
        }
        Ok(said)
    }

    /// `None` unless a whole HTTP request is told.
    pub(super) fn asked(&self) -> Option<Asked<'a>> {
        let asked = Asked::new(self.method, self.host, self.path).filter(|_| self.http)?;
        let route = Some(self.route).filter(|route| !route.is_empty());
        Some(Asked { route, page: Page::Scheme(self.scheme), ..asked })
    }

    /// Envoy's peer; as a Unix socket's where it is no address.
    pub(super) fn source(&self) -> Peer {
        let ip = match self.source {
            Source::Socket { address, named_port: false } => address.parse().ok(),
            _ => None,
        };
        ip.map_or(Peer::Unix, |ip: IpAddr| Peer::Tcp(SocketAddr::new(ip, 0)))
    }

    /// `envoy.service.auth.v3.AttributeContext`.
    fn read_attributes(&mut self, mut fields: Fields<'a>, lines: &mut Lines<'a>) -> Result<(), Malformed> {
        while let Some((number, value)) = fields.next()? {
            match number {
                1 => self.source.read_peer(value.fields()?)?,
                4 => {
                    let mut request = value.fields()?;
                    while let Some((number, value)) = request.next()? {
                        if number == 2 {
                            self.http = true;
                            self.read_http(value.fields()?, lines)?;
                        }
                    }
                }
                10 => {
                    let (key, value) = value.fields()?.entry()?;
                    if key == Value::Bytes(ROUTE.as_bytes()) {
                        self.route = value.text()?;
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// `AttributeContext.HttpRequest`.
    fn read_http(&mut self, mut fields: Fields<'a>, lines: &mut Lines<'a>) -> Result<(), Malformed> {
        while let Some((number, value)) = fields.next()? {
            match number {
                2 => self.method = value.text()?,
                3 => lines.join(value.fields()?)?,
                4 => self.path = value.text()?,
                5 => self.host = value.text()?,
                6 => self.scheme = value.text()?,
                13 => {
                    let mut map = value.fields()?;
                    while let Some((number, value)) = map.next()? {
                        if number == 1 {
                            lines.list(value.fields()?)?;
                        }
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }
}

impl<'a> Source<'a> {
    /// `AttributeContext.Peer`, and in it `envoy.config.core.v3.Address`.
    fn read_peer(&mut self, mut fields: Fields<'a>) -> Result<(), Malformed> {
        while let Some((number, value)) = fields.next()? {
            if number != 1 {
                continue;
            }
            let mut address = value.fields()?;
            while let Some((number, value)) = address.next()? {
                match number {
                    1 => self.read_socket(value.fields()?)?,
                    // A pipe, or an address inside Envoy: of the kinds the last counts.
                    2 | 3 => *self = Self::Unknown,
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// `envoy.config.core.v3.SocketAddress`.
    fn read_socket(&mut self, mut fields: Fields<'a>) -> Result<(), Malformed> {
        let (mut address, mut named_port) = match *self {
            Self::Unknown => ("", false),
            Self::Socket { address, named_port } => (address, named_port),
        };
        while let Some((number, value)) = fields.next()? {
            match number {
                2 => address = value.text()?,
                3 => named_port = false,
                4 => named_port = true,
                _ => {}
            }
        }
        *self = Self::Socket { address, named_port };
        Ok(())
    }
}

impl<'a> Lines<'a> {
    /// An entry of the map.
    fn join(&mut self, entry: Fields<'a>) -> Result<(), Malformed> {
        let (key, value) = entry.entry()?;
        let key = key.bytes()?;
        let Some(name) = read(key) else { return Ok(()) };
        let value = value.text()?.as_bytes();
        match self.joined.iter_mut().find(|(earlier, ..)| *earlier == key) {
            Some((.., earlier)) => *earlier = value,
            None => self.joined.push((key, name, value)),
        }
        Ok(())
    }

    /// `envoy.config.core.v3.HeaderValue`: key, value, raw value.
    fn list(&mut self, mut pair: Fields<'a>) -> Result<(), Malformed> {
        let [mut key, mut value, mut raw]: [&[u8]; 3] = [b""; 3];
        while let Some((number, found)) = pair.next()? {
            match number {
                1 => key = found.bytes()?,
                2 => value = found.text()?.as_bytes(),
                3 => raw = found.bytes()?,
                _ => {}
            }
        }
        self.listed.extend(read(key).map(|name| (name, if raw.is_empty() { value } else { raw })));
        Ok(())
    }
}

fn read(key: &[u8]) -> Option<&'static HeaderName> {
    // Most headers are of another length.
    matches!(key.len(), 6 | 12..=15)
        .then(|| READ.iter().find(|name| name.as_str().as_bytes().eq_ignore_ascii_case(key)))?
}

#[cfg(test)]
mod tests;
