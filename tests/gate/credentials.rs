//! What counts as a credential, over a real connection; the fine points are tested beside `gate::credential`.

use crate::door::{Door, Setup};

const HOST: &str = "Host: app.example";

// SEC-T22, contract rule 8
#[tokio::test]
async fn a_token_counts_only_when_it_is_the_only_one() {
    let door = Door::open().await;
    assert_eq!(door.ask("GET /check/envoy/a", &[HOST, "authorization: bearer good"]).await.status, 200);
    for lines in [
        ["Authorization: Bearer good", "Authorization: Bearer good"],
        ["Authorization: Bearer good", "Authorization: Basic YTpi"],
        ["Authorization: Bearer good,Bearer good", "X: y"],
        ["Authorization: Bearer good good", "X: y"],
        ["Authorization: Bearer  good", "X: y"],
        ["Authorization: Bearer good\t", "Authorization:"],
        ["Authorization: Bearer g\u{f6}od", "X: y"],
    ] {
        let answer = door.ask("GET /check/envoy/a", &[HOST, lines[0], lines[1]]).await;
        assert_eq!((answer.status, answer.reason()), (401, "invalid_token"), "{lines:?}");
    }
    let answer = door.ask("GET /check/envoy/a?access_token=good", &[HOST, "Cookie: door=good"]).await;
    assert_eq!((answer.status, answer.reason()), (401, "no_token"), "neither a query nor a cookie nobody configured");
}

// SEC-C2
#[tokio::test]
async fn a_cookie_of_another_site_changes_nothing() {
    let door = Door::with(Setup { cookie: "__Host-door", ..Setup::default() }).await;
    let cookie = "Cookie: a=1; __Host-door=good";
    let ask = async |line: &str, more: &[&str]| door.ask(line, &[&[HOST, cookie], more].concat()).await;
    assert_eq!(ask("GET /check/envoy/a", &["Sec-Fetch-Site: cross-site"]).await.status, 200, "reading is no harm");
    assert_eq!(ask("POST /check/envoy/a", &["Sec-Fetch-Site: same-origin"]).await.status, 200);
    assert_eq!(ask("POST /check/envoy/a", &["Origin: https://app.example"]).await.status, 200);
    assert_eq!(ask("POST /check/envoy/a", &["Authorization: Bearer good"]).await.status, 200, "no browser adds it");
    for more in [&["Sec-Fetch-Site: cross-site"][..], &["Origin: https://evil.example"], &["Origin: null"], &[]] {
        let answer = ask("POST /check/envoy/a", more).await;
        assert_eq!((answer.status, answer.reason()), (403, "forbidden"), "{more:?}");
        assert_eq!(ask("POST /check/envoy/open", more).await.status, 200, "nobody's word was taken there");
    }
    assert_eq!(ask("GET /check/envoy/a", &["Cookie: __Host-door=good"]).await.reason(), "invalid_token", "SEC-C1");
    assert_eq!(ask("GET /check/envoy/a", &["Authorization: Bearer roleless"]).await.reason(), "invalid_token");
}
