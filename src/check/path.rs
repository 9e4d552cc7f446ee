//! The canonicaliser of request paths (SEC-P3 to P5): one form for matching, and a refusal of whatever could mean two things.
//!
//! Called by `policy` for each check and for each configured pattern. Upstreams get the raw path in most proxies, so a
//! path that two parsers read differently is never repaired here, only refused. RFC 3986 section 6.2.2, made stricter.

use std::borrow::Cow;

/// A path in its one form: absolute, without query, no empty or dot segment, each character spelled one way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CanonicalPath<'a> {
    text: Cow<'a, str>,
    encoded_slashes: bool,
}

/// Why a request target can't be decided on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    #[error("it does not begin with `/`")]
    NotAbsolute,
    #[error("it holds a `#`")]
    Fragment,
    #[error("it holds the byte {0:#04x}, which no request target may")]
    Byte(u8),
    #[error("it holds a `%` without two hexadecimal digits")]
    BrokenPercent,
    #[error("it holds `%{0:02X}`, which parsers disagree on")]
    Encoded(u8),
    #[error("it holds a dot segment")]
    DotSegment,
}

impl<'a> CanonicalPath<'a> {
    /// Reads a request target as sent: cuts the query, decodes once what needs no encoding, merges slashes.
    ///
    /// `%2F` and `%5C` stay encoded and are reported by [`Self::has_encoded_slashes`]: whether they may stand is the
    /// rule's to say. Nothing is allocated where the path is in its one form already.
    ///
    /// # Errors
    /// All that two parsers could read differently.
    pub fn of(target: &'a str) -> Result<Self, PathError> {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        if let Some(byte) = query.bytes().find(|byte| *byte == b'#' || byte.is_ascii_control()) {
            return Err(if byte == b'#' { PathError::Fragment } else { PathError::Byte(byte) });
        }
        let shape = Shape::of(path)?;
        let (text, encoded_slashes) = if shape.percent || shape.empty_segment {
            let (text, encoded_slashes) = rewrite(path)?;
            (Cow::Owned(text), encoded_slashes)
        } else {
            (Cow::Borrowed(path), false)
        };
        if (shape.percent || shape.leading_dot) && text.split('/').any(|s| has_dots(s, encoded_slashes)) {
            return Err(PathError::DotSegment);
        }
        Ok(Self { text, encoded_slashes })
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub const fn has_encoded_slashes(&self) -> bool {
        self.encoded_slashes
    }

    /// What this path becomes in upstreams that decode slashes, or drop path parameters (`;…`), or both. Empty for
    /// nearly all paths: no rule may be got round by such a spelling.
    pub fn other_readings(&self) -> Vec<String> {
        let decoded = self.encoded_slashes.then(|| merged(&self.text.replace("%2F", "/").replace("%5C", "/")));
        let bare = |path: &str| path.contains(';').then(|| without_parameters(path));
        let decoded_bare = decoded.as_deref().and_then(bare);
        [bare(&self.text), decoded_bare, decoded].into_iter().flatten().collect()
    }
}

/// What one pass over the raw path tells.
#[derive(Default)]
struct Shape {
    percent: bool,
    empty_segment: bool,
    leading_dot: bool,
}

impl Shape {
    fn of(path: &str) -> Result<Self, PathError> {
        if !path.starts_with('/') {
            return Err(PathError::NotAbsolute);
        }
        let mut shape = Self::default();
        let mut after_slash = false;
        for byte in path.bytes() {
            match byte {
                b'/' => shape.empty_segment |= after_slash,
                b'.' => shape.leading_dot |= after_slash,
                b'%' => shape.percent = true,
                b'#' => return Err(PathError::Fragment),
                b'\\' | 0..=0x20 | 0x7f.. => return Err(PathError::Byte(byte)),
                _ => {}
            }
            after_slash = byte == b'/';
        }
        Ok(shape)
    }
}

/// Decodes every character that may stand as itself, writes the others' hexadecimal digits in upper case (RFC 3986
/// section 6.2.2.1) and merges slashes. More is decoded than RFC 3986's unreserved characters: upstreams read `%40` as
/// `@`, so a rule for `/@me` must see it too.
fn rewrite(path: &str) -> Result<(String, bool), PathError> {
    let mut out = String::with_capacity(path.len());
    let mut encoded_slashes = false;
    let mut lead = 0;
    let mut bytes = path.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            lead = 0;
            if byte != b'/' || !out.ends_with('/') {
                out.push(char::from(byte));
            }
            continue;
        }
        let decoded = hex(bytes.next()).zip(hex(bytes.next())).ok_or(PathError::BrokenPercent)?;
        let decoded = decoded.0 << 4 | decoded.1;
        match decoded {
            b'%' | b'#' | b';' | 0..=0x1f | 0x7f => return Err(PathError::Encoded(decoded)),
            _ if overlong(lead, decoded) => return Err(PathError::Encoded(decoded)),
            b'/' | b'\\' => encoded_slashes = true,
            _ => {}
        }
        match decoded {
            b'/' | b'\\' | b'?' | b' ' | 0x80.. => out.push_str(&format!("%{decoded:02X}")),
            visible => out.push(char::from(visible)),
        }
        lead = decoded;
    }
    Ok((out, encoded_slashes))
}

fn hex(digit: Option<u8>) -> Option<u8> {
    char::from(digit?).to_digit(16).map(|value| value as u8)
}

/// UTF-8 written longer than needed hides `/` and `.` from all but the laxest decoders (RFC 3629 section 3).
fn overlong(lead: u8, byte: u8) -> bool {
    matches!((lead, byte), (_, 0xc0 | 0xc1) | (0xe0, 0x80..=0x9f) | (0xf0, 0x80..=0x8f))
}

/// Whether the segment, or a part of it that an upstream might read as one, is `.` or `..` before its parameters.
fn has_dots(segment: &str, encoded_slashes: bool) -> bool {
    let dots = |part: &str| matches!(part.split(';').next(), Some("." | ".."));
    dots(segment) || (encoded_slashes && segment.replace("%5C", "%2F").split("%2F").any(dots))
}

fn without_parameters(path: &str) -> String {
    let bare: Vec<&str> = path.split('/').map(|segment| segment.split(';').next().unwrap_or_default()).collect();
    merged(&bare.join("/"))
}

fn merged(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for c in path.chars() {
        if c != '/' || !out.ends_with('/') {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(target: &str) -> Result<String, PathError> {
        CanonicalPath::of(target).map(|path| path.text.into_owned())
    }

    // SEC-P3, SEC-P4
    #[test]
    fn equal_paths_have_one_form() {
        for (raw, canonical) in [
            ("/", "/"),
            ("/a/b", "/a/b"),
            ("/a/b/", "/a/b/"),
            ("/a//b", "/a/b"),
            ("//a", "/a"),
            ("///", "/"),
            ("/%61dmin", "/admin"),
            ("/%41", "/A"),
            ("/%7Euser/x%2Dy", "/~user/x-y"),
            ("/%40me", "/@me"),
            ("/caf%c3%a9", "/caf%C3%A9"),
            ("/a%20b", "/a%20b"),
            ("/what%3f", "/what%3F"),
            ("/a?b=/../c", "/a"),
            ("/a?b=%2F%00%zz&c=\\", "/a"),
            ("/a??", "/a"),
            ("/...", "/..."),
            ("/.well-known/x", "/.well-known/x"),
            ("/a..b/.c", "/a..b/.c"),
            ("/item;v=1", "/item;v=1"),
        ] {
            assert_eq!(read(raw).as_deref(), Ok(canonical), "{raw:?}");
        }
    }

    // SEC-P3, SEC-P4, SEC-P5
    #[test]
    fn whatever_two_parsers_could_read_differently_is_refused() {
        for raw in [
            "",
            "*",
            "a",
            "?x",
            "http://host/a",
            "host:443",
            "/a#b",
            "/a?b#c",
            "/#",
            "/a\\b",
            "/a b",
            "/a\tb",
            "/a\0",
            "/a\u{7f}",
            "/é",
            "/a?x\ny",
            "/%",
            "/%4",
            "/%zz",
            "/%+1",
            "/a%00",
            "/a%0a",
            "/a%0D%0Ax",
            "/a%7f",
            "/a%23b",
            "/a%25b",
            "/%252e%252e/admin",
            "/a%3bb",
            "/a%3Bb",
            "/.",
            "/..",
            "/./a",
            "/a/.",
            "/a/..",
            "/p/../admin",
            "/p/%2e%2e/admin",
            "/p/%2E./admin",
            "/p/.%2e/admin",
            "/p/..;/admin",
            "/p/.;x=y/admin",
            "/p/%2e%2e;a=b/x",
            "/p//..//admin",
            "/p/..%2fadmin",
            "/p/..%2Fadmin",
            "/p%2f..%2fadmin",
            "/p%2f.%2fadmin",
            "/p%5c..%5cadmin",
            "/p%2f%2e%2e;x%5cadmin",
            "/..%c0%af",
            "/%c0%ae%c0%ae/admin",
            "/%e0%80%af",
            "/%f0%80%80%af",
        ] {
            assert!(read(raw).is_err(), "{raw:?} became {:?}", read(raw));
        }
    }

    #[test]
    fn encoded_slashes_stay_and_are_told() {
        for (raw, canonical) in [("/a%2fb", "/a%2Fb"), ("/a%5Cb//c", "/a%5Cb/c"), ("/%2F%2F", "/%2F%2F")] {
            let path = CanonicalPath::of(raw).expect(raw);
            assert!(path.has_encoded_slashes());
            assert_eq!(path.as_str(), canonical);
        }
        assert!(!CanonicalPath::of("/a%20b").expect("fine").has_encoded_slashes());
    }

    #[test]
    fn other_readings_of_a_path_are_those_of_laxer_upstreams() {
        let readings = |raw| CanonicalPath::of(raw).expect("fine").other_readings();
        assert!(readings("/a/b%20c").is_empty());
        assert_eq!(readings("/admin;x/users"), ["/admin/users"]);
        assert_eq!(readings("/;x/admin"), ["/admin"]);
        assert_eq!(readings("/a%2fb"), ["/a/b"]);
        assert_eq!(readings("/a;x%2fadmin"), ["/a", "/a/admin", "/a;x/admin"]);
    }

    #[test]
    fn a_canonical_path_is_borrowed() {
        assert!(matches!(CanonicalPath::of("/a/.b/c;d?e").map(|path| path.text), Ok(Cow::Borrowed("/a/.b/c;d"))));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn no_target_panics_and_a_form_is_its_own_form(target in "(/|%2[ef5F]|%[0-9a-fA-F]{2}|[a-z.;?#*]|\\PC){0,24}") {
            if let Ok(once) = read(&format!("/{target}")) {
                prop_assert!(once.starts_with('/') && !once.contains("//") && !once.contains('?'));
                prop_assert!(once.bytes().all(|byte| byte.is_ascii_graphic()));
                prop_assert_eq!(read(&once), Ok(once));
            }
        }

        #[test]
        fn no_bytes_panic(target in "\\PC{0,40}") {
            let _ = read(&target);
        }
    }
}
