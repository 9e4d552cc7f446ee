//! What to do where Redis refuses: its own word for it, or the kind of URL, tells what is wrong with `state.url`.

/// Of the token store's words, and who they come from.
const FIXES: [(&str, &str); 6] = [
    ("NOAUTH", PASSWORD),
    ("WRONGPASS", PASSWORD),
    ("DB index is out of range", "end state.url with the number of a database that this Redis has, such as /0"),
    ("cluster support disabled", "this Redis is no cluster: write state.url as redis://HOST:6379"),
    (
        "unknown command 'SENTINEL'",
        "this is no sentinel but Redis itself: name a sentinel's port, or write redis://HOST:6379",
    ),
    (
        "unknown command `SENTINEL`",
        "this is no sentinel but Redis itself: name a sentinel's port, or write redis://HOST:6379",
    ),
];

const PASSWORD: &str = "put the user and the password that Redis knows into state.url (redis://USER:PASSWORD@HOST:6379, or \
                        redis://:PASSWORD@HOST:6379 where it has no users; special characters percent-encoded), or into \
                        state.url_file";

/// The fix for what `state.url` and the store's failure tell, where there is a special one.
pub(super) fn fix(url: &str, why: &str) -> Option<&'static str> {
    let known = FIXES.iter().find(|(word, _)| why.contains(word)).map(|(_, fix)| *fix);
    // Redis says nothing to a TLS handshake on a plain port.
    let mute = url.starts_with("rediss") && why.contains("no connection yet");
    known.or(mute.then_some(
        "see that something runs there and that the port is the one with TLS; without TLS the URL begins with redis://",
    ))
}
