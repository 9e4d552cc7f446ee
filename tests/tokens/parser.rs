//! Properties of the token parser: it never panics, and reads one spelling only.

use doorward::clock::Timestamp;
use doorward::secret::base64url;
use doorward::token::explain::explain;
use doorward::token::jws::{Compact, MAX_LENGTH};
use proptest::prelude::*;

fn read_and_written_again(token: &str) -> Option<String> {
    let compact = Compact::parse(token).ok()?;
    let (header, _) = compact.signing_input.split_once('.')?;
    Some(format!("{header}.{}.{}", base64url(&compact.payload), base64url(&compact.signature)))
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,300}") {
        let _ = Compact::parse(&text);
        let _ = explain(&text, Timestamp(0));
    }

    #[test]
    fn no_three_segments_make_it_panic(header in any::<Vec<u8>>(), payload in any::<Vec<u8>>(), signature in any::<Vec<u8>>()) {
        let token = format!("{}.{}.{}", base64url(&header), base64url(&payload), base64url(&signature));
        let _ = Compact::parse(&token).and_then(|compact| compact.claims());
        let _ = explain(&token, Timestamp(0));
    }

    // SEC-T7
    #[test]
    fn whatever_is_accepted_encodes_to_the_same_bytes(
        alg in prop::sample::select(vec!["EdDSA", "ES256", "RS256", "PS256", "HS256", "none", ""]),
        payload in prop::collection::vec(any::<u8>(), 0..80),
        signature in prop::collection::vec(any::<u8>(), 0..80),
        damage in prop::option::of((0_usize..300, "[A-Za-z0-9+/=._-]")),
    ) {
        let header = format!(r#"{{"alg":"{alg}"}}"#);
        let mut token = format!("{}.{}.{}", base64url(header.as_bytes()), base64url(&payload), base64url(&signature));
        if let Some((at, with)) = damage {
            let at = at % token.len();
            token.replace_range(at..=at, &with);
        }
        if let Some(written) = read_and_written_again(&token) {
            prop_assert!(token.len() <= MAX_LENGTH);
            prop_assert_eq!(written, token);
        }
    }
}
