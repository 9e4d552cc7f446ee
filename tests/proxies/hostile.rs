//! Paths that chance makes of all that parsers disagree on, through every proxy as it is shipped: whatever reaches the app
//! must be, in every reading of it, a path that its sender may see (SEC-P3, SEC-U2).

use std::collections::BTreeSet;

use doorward::check::path::CanonicalPath;

use crate::harness::edge::Edge;
use crate::harness::http::Request;
use crate::harness::paths::decode;

/// Paths for each proxy, and each sender.
const PATHS: usize = 250;

const PIECES: &[&str] = &[
    "open",
    "public",
    "admin",
    "reports",
    "x",
    "/",
    "/",
    "/",
    "//",
    ".",
    "..",
    "/..",
    "/../",
    "/./",
    "%2e",
    "%2e%2e",
    ".%2e",
    "%2E.",
    "..;",
    "..;a=b",
    ";",
    ";a",
    "%3b",
    "%2f",
    "%2F",
    "%5c",
    "\\",
    "..%2f",
    "..%5c",
    "..\\",
    "%252e%252e",
    "%252f",
    "%00",
    "%09",
    "%20",
    "%c0%ae%c0%ae",
    "%c0%af",
    "%e0%80%af",
    "%ef%bc%8f",
    "%uff0f",
    "%",
    "%2",
    "%zz",
    "#",
    "?",
    "?/../",
    "%3f",
    "%23",
    "%61dmin",
    "adm%69n",
    "Admin",
    "ADMIN",
    "admin.",
    "open/../admin",
    "public/../admin",
    "%40",
    "~",
    "*",
    "@",
    ":",
    "&",
    "=",
];

/// Xorshift, so that each run asks the same.
struct Chance(u64);

impl Chance {
    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        from[(self.0 >> 20) as usize % from.len()]
    }

    fn path(&mut self) -> String {
        let first = self.pick(&["/open/", "/public/", "/public/", "/open", "/", "/reports/", "/admin", "//"]);
        let count = self.pick(&["1", "2", "3", "4", "6"]).parse().unwrap_or(1);
        let mut path = first.to_owned();
        for _ in 0..count {
            path.push_str(self.pick(PIECES));
        }
        // Some lead somewhere in any case.
        path.push_str(self.pick(&["", "", "/admin/x", "/../admin/x", "/../reports", "x"]));
        path
    }
}

/// Every way that an app may read a raw target: decoded not at all, once or twice; `\` as `/`; with path parameters or
/// without. Dot segments are resolved in all.
fn readings(target: &str) -> BTreeSet<String> {
    let path = target.split(['?', '#']).next().unwrap_or_default();
    let once = decode(path);
    let twice = decode(&once);
    let mut all = BTreeSet::new();
    for text in [path, &once, &twice] {
        for text in [text.to_owned(), text.replace('\\', "/")] {
            for bare in [false, true] {
                let mut segments = Vec::new();
                for segment in text.split('/') {
                    let segment = if bare { segment.split(';').next().unwrap_or_default() } else { segment };
                    match segment {
                        "" | "." => {}
                        ".." => drop(segments.pop()),
                        name => segments.push(name),
                    }
                }
                all.insert(format!("/{}", segments.join("/")));
            }
        }
    }
    all
}

fn below(path: &str, folder: &str) -> bool {
    path.strip_prefix('/')
        .and_then(|path| path.strip_prefix(folder))
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

pub(crate) fn no_generated_path_reaches_the_app_as_one_that_its_sender_may_not_see(edge: &Edge) {
    let plain = edge.issuer.token("alice", &["editor"]);
    let mut chance = Chance(0x000d_005d);
    let (mut passed, mut refused) = (0, 0);
    for _ in 0..PATHS {
        let path = chance.path();
        for token in [None, Some(&plain)] {
            let request = Request::get(&path);
            let request = token.map_or(request.clone(), |token| request.bearer(token));
            let (reply, received) = edge.ask(&request);
            refused += usize::from(received.is_empty());
            for seen in received {
                passed += 1;
                let unasked = below(&canonical(&seen.target, &path), edge.unasked());
                for read in readings(&seen.target) {
                    let may = if token.is_some() {
                        !below(&read, "admin")
                    } else {
                        below(&read, "open") || (unasked && below(&read, edge.unasked()))
                    };
                    assert!(
                        may,
                        "{path} ({token:?}) got {}, the app got {} and may read {read}",
                        reply.status, seen.target
                    );
                }
            }
        }
    }
    assert!(passed > PATHS / 10 && refused > PATHS / 10, "{passed} passed, {refused} were refused");
}

/// What reached the app must have one form at all: nothing else may be decided on.
fn canonical(target: &str, path: &str) -> String {
    let canonical = CanonicalPath::of(target);
    canonical.unwrap_or_else(|error| panic!("{path} reached the app as {target}: {error}")).as_str().to_owned()
}
