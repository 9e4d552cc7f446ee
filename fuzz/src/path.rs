//! Request targets: one form, which stays what it is (SEC-P3); and however lax the upstream reads the raw target, what it
//! would serve is among the readings that rules are asked about.

use std::collections::BTreeSet;

use doorward::check::path::CanonicalPath;

pub fn path(data: &[u8]) {
    let Ok(target) = std::str::from_utf8(data) else { return };
    let Ok(path) = CanonicalPath::of(target) else { return };
    let text = path.as_str();
    assert!(text.starts_with('/') && !text.contains("//") && !text.contains('?'), "{target:?} is {text:?}");
    assert!(text.bytes().all(|byte| byte.is_ascii_graphic() && !b"\\#".contains(&byte)), "{target:?} is {text:?}");
    let again = CanonicalPath::of(text).unwrap_or_else(|error| panic!("{target:?} is {text:?}: {error}"));
    assert_eq!(again, path, "{target:?}");

    // SEC-P4
    let without_query = target.split('?').next().unwrap_or_default();
    assert_eq!(CanonicalPath::of(&format!("{without_query}?a=/../b")).as_ref(), Ok(&path));

    let known: BTreeSet<Vec<u8>> = std::iter::once(text.to_owned())
        .chain(path.other_readings())
        .map(|reading| decoded(reading.as_bytes()))
        .collect();
    for lax in readings(without_query.as_bytes()) {
        let served = String::from_utf8_lossy(&lax);
        assert!(known.contains(&lax), "{target:?} may be served as {served:?}, and rules see {text:?}");
    }
}

/// What an upstream may make of a raw path: it decodes, and may then take `\` for `/`, encoded slashes for slashes, and
/// drop what follows a `;`. All resolve dot segments and merge slashes.
fn readings(raw: &[u8]) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for slashes_first in [false, true] {
        for drops_parameters in [false, true] {
            let split_at: &[u8] = b"/";
            // Decoding before the split makes encoded slashes into separators; after it they stay within a segment, which
            // for a name in a file system is no different, so only the dots are looked at then.
            let whole = if slashes_first { decoded(raw).iter().map(slash).collect() } else { raw.to_vec() };
            let mut segments: Vec<Vec<u8>> = Vec::new();
            for segment in whole.split(|byte| split_at.contains(byte)) {
                let bare = segment.split(|byte| *byte == b';').next().unwrap_or_default();
                let segment = if drops_parameters { bare } else { segment };
                let segment = if slashes_first { segment.to_vec() } else { decoded(segment) };
                match segment.as_slice() {
                    b"" | b"." => {}
                    b".." => drop(segments.pop()),
                    _ => segments.push(segment),
                }
            }
            let mut path: Vec<u8> = segments.iter().flat_map(|segment| [b"/", segment.as_slice()].concat()).collect();
            if path.is_empty() || whole.ends_with(b"/") || (drops_parameters && ends_bare(&whole)) {
                path.push(b'/');
            }
            all.push(path);
        }
    }
    all
}

fn slash(byte: &u8) -> u8 {
    if *byte == b'\\' { b'/' } else { *byte }
}

/// Whether the last segment is nothing but parameters.
fn ends_bare(path: &[u8]) -> bool {
    path.rsplit(|byte| *byte == b'/').next().is_some_and(|last| last.starts_with(b";"))
}

/// Percent-decoded once; what is broken stays.
fn decoded(text: &[u8]) -> Vec<u8> {
    let hex = |byte: &u8| char::from(*byte).to_digit(16).map(|digit| digit as u8);
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        match (byte, after) {
            (b'%', [high, low, after @ ..]) if hex(high).is_some() && hex(low).is_some() => {
                out.push(hex(high).unwrap_or_default() << 4 | hex(low).unwrap_or_default());
                rest = after;
            }
            _ => {
                out.push(byte);
                rest = after;
            }
        }
    }
    out
}
