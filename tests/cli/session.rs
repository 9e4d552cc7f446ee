//! `session revoke` and `session list`: whom they mean, and what they say of it.

use crate::home::Home;

#[test]
fn an_end_names_its_issuer_and_says_where_nothing_was_found() {
    let home = Home::prepared();
    home.run(&["token", "mint", "--user", "alice"]).ok();
    let done = home.run(&["session", "revoke", "--user", "alice", "--yes", "--set", "auth.issuer=https://i"]);
    assert!(done.code == 0 && done.err.contains("No live session of `alice` was found"), "{}", done.err);
    assert!(done.err.contains("issuer `https://i`"), "{}", done.err);
    let done = home.run(&["session", "revoke", "--user", "alice", "--yes"]);
    assert!(done.err.contains("Sessions ended: 1.") && done.err.contains("issuer `doorward`"), "{}", done.err);

    let mut bare = home.command(&["session", "revoke", "--user", "alice", "--yes"]);
    let bare = crate::Done::of(bare.env_remove("DOORWARD__CONFIG").output().expect("run"));
    assert!(bare.err.contains("issuer `doorward`") && bare.err.contains("-c FILE"), "{}", bare.err);
}

// A plain login's `user_id` may be an address, and such a subject is no account's.
#[test]
fn a_subject_with_an_at_sign_is_meant_by_another_word_than_an_account() {
    let home = Home::prepared();
    home.run(&["token", "mint", "--user", "alice@example.com"]).ok();
    let refused = home.run(&["session", "revoke", "--user", "alice@example.com", "--yes"]);
    assert!(refused.code == 1 && refused.err.contains("--subject \"alice@example.com\""), "{}", refused.err);
    let listed = home.run(&["session", "list", "--subject", "alice@example.com", "-o", "json"]).json();
    assert_eq!(listed.as_array().map(Vec::len), Some(1));
    let done = home.run(&["session", "revoke", "--subject", "alice@example.com", "--yes"]);
    assert!(done.err.contains("Sessions ended: 1."), "{}", done.err);
    let sub = "alice@example.com";
    let done = home.run(&["session", "revoke", "--issuer", "https://i", "--user", sub, "--yes"]);
    assert!(done.code == 0 && done.err.contains("Every token of `alice@example.com`"), "{}", done.err);
    for two in [["--user", "a", "--subject", "b"], ["--subject", "a", "--all", "--yes"]] {
        assert_eq!(home.run(&[&["session", "revoke"], &two[..]].concat()).code, 2, "{two:?}");
    }
}

#[test]
fn of_another_issuer_only_tokens_are_asked_about() {
    let home = Home::prepared();
    let asked = |args: &[&str]| home.run(&[&["session", "revoke"], args].concat()).err;
    let foreign = asked(&["--issuer", "https://i", "--user", "dave"]);
    assert!(foreign.contains("every token of `dave` from the issuer `https://i`"), "{foreign}");
    assert!(!foreign.contains("sessions"), "{foreign}");
    let own = asked(&["--user", "alice"]);
    assert!(own.contains("all sessions of `alice` at the issuer `doorward`"), "{own}");
}
