//! Path patterns: `*` within one segment, `**` any number of segments. Matching takes time linear in the path (SEC-P7,
//! SEC-D5): of each kind of wildcard only the latest is ever tried again. Called by `policy`.

use crate::check::path::CanonicalPath;

/// A pattern over a whole canonical path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob(Shape);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Shape {
    /// No wildcard.
    Exact(Box<str>),
    /// `/app/**`: the most usual pattern, answered by one comparison.
    Below(Box<str>),
    Segments(Box<[Segment]>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    /// `**`
    Any,
    /// May hold `*`.
    One(Box<str>),
}

impl Glob {
    /// # Errors
    /// What is wrong with it and what to write, for whoever wrote the rule.
    pub fn parse(text: &str) -> Result<Self, String> {
        if let Some(c) = text.chars().find(|c| "?[]{}\\".contains(*c)) {
            return Err(format!("path `{text}` holds `{c}`: only `*` and `**` are special; write more rules instead"));
        }
        let form = CanonicalPath::of(text).map_err(|why| format!("path `{text}` can never match: {why}"))?;
        if form.as_str() != text {
            return Err(format!("path `{text}` can never match: write it `{}`", form.as_str()));
        }
        let mut segments = Vec::new();
        for segment in text[1..].split('/') {
            match segment {
                "**" if segments.last() == Some(&Segment::Any) => {}
                "**" => segments.push(Segment::Any),
                _ if segment.contains("**") => {
                    return Err(format!("path `{text}`: `**` stands for whole segments; write `*`, or `/**/`"));
                }
                _ => segments.push(Segment::One(segment.into())),
            }
        }
        let below = text.strip_suffix("/**").filter(|stem| !stem.contains('*'));
        Ok(Self(match below {
            Some(stem) => Shape::Below(stem.into()),
            None if !text.contains('*') => Shape::Exact(text.into()),
            None => Shape::Segments(segments.into()),
        }))
    }

    /// Takes a path in its canonical form.
    pub fn matches(&self, path: &str) -> bool {
        match &self.0 {
            Shape::Exact(text) => **text == *path,
            Shape::Below(stem) => {
                path.strip_prefix(&**stem).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            }
            Shape::Segments(segments) => match_segments(segments, path),
        }
    }
}

/// The rest of a path from some segment on: `Some("b/c")`, or `None` behind the last.
type Rest<'p> = Option<&'p str>;

fn split_first(rest: &str) -> (&str, Rest<'_>) {
    rest.split_once('/').map_or((rest, None), |(first, rest)| (first, Some(rest)))
}

fn match_segments(pattern: &[Segment], path: &str) -> bool {
    let mut rest: Rest<'_> = path.strip_prefix('/');
    let mut at = 0;
    // Where to go on when what follows the latest `**` did not match: it swallows one segment more. An earlier `**`
    // need not be tried again, since the latest can swallow whatever that one would have.
    let mut retry: Option<(usize, &str)> = None;
    loop {
        match (pattern.get(at), rest) {
            (Some(Segment::Any), _) => {
                at += 1;
                match rest {
                    Some(text) => retry = Some((at, text)),
                    None => retry = None,
                }
                continue;
            }
            (Some(Segment::One(wanted)), Some(text)) => {
                let (segment, after) = split_first(text);
                if match_segment(wanted.as_bytes(), segment.as_bytes()) {
                    at += 1;
                    rest = after;
                    continue;
                }
            }
            (None, None) => return true,
            (Some(Segment::One(_)), None) | (None, Some(_)) => {}
        }
        let Some((from, text)) = retry else { return false };
        rest = split_first(text).1;
        at = from;
        retry = rest.map(|text| (from, text));
    }
}

/// `*` for any run of bytes, an empty one too.
fn match_segment(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                p += 1;
                retry = Some((p, t));
            }
            Some(byte) if *byte == text[t] => {
                p += 1;
                t += 1;
            }
            _ => {
                let Some((from, swallowed)) = retry else { return false };
                retry = Some((from, swallowed + 1));
                (p, t) = (from, swallowed + 1);
            }
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matches(pattern: &str, path: &str) -> bool {
        Glob::parse(pattern).expect(pattern).matches(path)
    }

    #[test]
    fn patterns_match_whole_paths() {
        for (pattern, yes, no) in [
            ("/a", vec!["/a"], vec!["/", "/a/", "/ab", "/A", "/a/b"]),
            ("/", vec!["/"], vec!["/a"]),
            ("/app/**", vec!["/app", "/app/", "/app/x", "/app/x/y"], vec!["/ap", "/apple", "/", "/x/app"]),
            ("/**", vec!["/", "/a", "/a/b/"], vec![]),
            ("/a/*", vec!["/a/b", "/a/"], vec!["/a", "/a/b/c"]),
            ("/a/*/c", vec!["/a/b/c"], vec!["/a/c", "/a/b/b/c"]),
            ("/a/**/z", vec!["/a/z", "/a/b/z", "/a/b/c/z"], vec!["/a", "/a/z/b", "/z"]),
            ("/**/a/b", vec!["/a/b", "/a/a/b", "/a/b/a/b"], vec!["/a", "/a/b/c"]),
            ("/v*/x-*.json", vec!["/v1/x-.json", "/v/x-a.b.json"], vec!["/v1/x.json", "/v1/2/x-a.json"]),
            ("/**/*", vec!["/", "/a", "/a/b"], vec![]),
            ("/**/*.css", vec!["/x.css", "/a/b/x.css"], vec!["/x.css/y", "/x.cs"]),
        ] {
            for path in yes {
                assert!(matches(pattern, path), "{pattern} {path}");
            }
            for path in no {
                assert!(!matches(pattern, path), "{pattern} {path}");
            }
        }
    }

    #[test]
    fn patterns_that_could_never_match_are_refused_with_their_fix() {
        assert!(Glob::parse("/%61").expect_err("encoded").contains("`/a`"));
        assert!(Glob::parse("/a//b").expect_err("two slashes").contains("`/a/b`"));
        for text in ["", "a", "**", "/a?x", "/{a,b}", "/a**", "/**b/c", "/a/../b", "/a b", "/[ab]"] {
            assert!(Glob::parse(text).is_err(), "{text:?}");
        }
    }

    // SEC-P7, SEC-D5: with backtracking over every wildcard this would not end in a lifetime.
    #[test]
    fn a_hostile_path_takes_linear_time() {
        let pattern = format!("/{}b", "**/a*a*a*a*a*/".repeat(12));
        assert!(!matches(&pattern, &format!("/{}", "aaaaaaaaaaaaaaaa/".repeat(2000))));
    }

    /// The meaning, written without a thought for time.
    fn reference(pattern: &[&str], path: &[&str]) -> bool {
        match (pattern.split_first(), path.split_first()) {
            (None, None) => true,
            (Some((&"**", rest)), _) => reference(rest, path) || (!path.is_empty() && reference(pattern, &path[1..])),
            (Some((one, rest)), Some((segment, after))) => {
                reference_segment(one.as_bytes(), segment.as_bytes()) && reference(rest, after)
            }
            _ => false,
        }
    }

    fn reference_segment(pattern: &[u8], text: &[u8]) -> bool {
        match (pattern.split_first(), text.split_first()) {
            (None, None) => true,
            (Some((b'*', rest)), _) => {
                reference_segment(rest, text) || (!text.is_empty() && reference_segment(pattern, &text[1..]))
            }
            (Some((p, rest)), Some((t, after))) => p == t && reference_segment(rest, after),
            _ => false,
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]

        #[test]
        fn matching_is_what_the_plain_definition_says(
            pattern in proptest::collection::vec("(\\*\\*|[ab*]{1,3})", 1..6),
            path in proptest::collection::vec("[ab]{1,3}", 0..6),
        ) {
            let text = format!("/{}", pattern.join("/"));
            if let Ok(glob) = Glob::parse(&text) {
                let path_text = format!("/{}", path.join("/"));
                let segments: Vec<&str> = path_text[1..].split('/').collect();
                let mut pattern: Vec<&str> = pattern.iter().map(String::as_str).collect();
                pattern.dedup_by(|a, b| *a == "**" && *b == "**");
                // `**` at the end also takes no segment; the root has one, empty, segment.
                prop_assert_eq!(glob.matches(&path_text), reference(&pattern, &segments), "{} {}", text, path_text);
            }
        }
    }
}
