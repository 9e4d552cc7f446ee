//! Registering, signing in, refreshing, the profile: what is answered to whom.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::http::Request;
use crate::on_every_store;
use crate::service::{PASSWORD, Service, Store, Tokens, at_once, login, refused};

on_every_store!(
    a_new_account_signs_in_and_is_let_pass,
    an_address_is_one_account_in_all_its_spellings,
    of_parallel_registrations_one_makes_an_account,
    a_replayed_refresh_token_ends_the_session,
    parallel_refreshes_give_one_successor,
    a_login_never_adopts_a_session,
    bodies_of_other_shapes_are_refused,
);

fn a_new_account_signs_in_and_is_let_pass(store: Store) {
    let service = Service::start(store);
    let registered = service.try_register("Alice@Example.com", PASSWORD);
    assert_eq!(registered.status, 201, "{registered:?}");
    let user = registered.json();
    assert_eq!(
        (user["email"].as_str(), &user["roles"], &user["confirmed"]),
        (Some("alice@example.com"), &json!([]), &json!(false))
    );
    assert!(user.get("access_token").is_none(), "registering opens no session");
    let first = service.login("alice@example.com");
    let claims = first.claims();
    assert_eq!((&claims["sub"], &claims["amr"], claims.get("user_id")), (&user["id"], &json!(["pwd"]), None));
    assert_eq!(service.check(&first.access), 200);
    assert_eq!(service.get("/profile", &first.access).json(), user);
    let second = Tokens::of(&service.refresh(&first.refresh));
    assert_eq!((second.sid(), service.check(&second.access)), (first.sid(), 200));
    assert_eq!(service.ask("POST", "/auth/logout", &second.refresh).status, 200);
    assert_eq!(service.ask("POST", "/auth/logout", &second.refresh).status, 200, "again is fine");
    assert_eq!((service.check(&first.access), service.check(&second.access)), (401, 401));
    refused(&service.refresh(&second.refresh), 401, "invalid_token");
    refused(&service.get("/profile", &second.access), 401, "invalid_token");
    refused(&service.send(&Request::get("/profile")), 401, "no_token");
}

// SEC-L5
fn an_address_is_one_account_in_all_its_spellings(store: Store) {
    let service = Service::start(store);
    let id = service.register("ren\u{e9}@B\u{fc}cher.example");
    for spelling in ["REN\u{c9}@b\u{fc}cher.example", "rene\u{301}@xn--bcher-kva.example"] {
        refused(&service.try_register(spelling, PASSWORD), 409, "email_taken");
        assert_eq!(service.login(spelling).claims()["sub"], id.as_str());
    }
    for wrong in ["rene", "a@b@c", "a@", " a@b.example", "a\u{200b}@b.example", "\u{202e}a@b.example"] {
        refused(&service.try_register(wrong, PASSWORD), 400, "invalid_email");
        refused(&service.try_login(wrong, PASSWORD), 400, "invalid_email");
    }
}

// SEC-L6
fn of_parallel_registrations_one_makes_an_account(store: Store) {
    let service = Service::start(store);
    let mut statuses = at_once(12, |at| {
        let email = if at % 2 == 0 { "bob@example.com" } else { "BOB@example.com" };
        service.try_register(email, PASSWORD).status
    });
    statuses.sort_unstable();
    assert_eq!((statuses[0], statuses[1], statuses[11]), (201, 409, 409), "{statuses:?}");
    service.login("bob@example.com");
}

// SEC-R8
fn a_replayed_refresh_token_ends_the_session(store: Store) {
    let service = Service::start_with(store, json!({"auth": {"refresh_grace": "0s"}}));
    service.register("carol@example.com");
    let first = service.login("carol@example.com");
    let other = service.login("carol@example.com");
    let second = Tokens::of(&service.refresh(&first.refresh));
    refused(&service.refresh(&first.refresh), 401, "refresh_reused");
    refused(&service.refresh(&second.refresh), 401, "invalid_token");
    assert_eq!((service.check(&second.access), service.check(&other.access)), (401, 200));
}

// SEC-R1
fn parallel_refreshes_give_one_successor(store: Store) {
    let service = Service::start_with(store, json!({"auth": {"refresh_grace": "30s"}}));
    service.register("dan@example.com");
    let first = service.login("dan@example.com");
    let answers = at_once(16, |_| Tokens::of(&service.refresh(&first.refresh)));
    assert!(answers.iter().all(|answer| answer.refresh == answers[0].refresh));
    assert!(answers.iter().all(|answer| service.check(&answer.access) == 200));
    Tokens::of(&service.refresh(&answers[0].refresh));
}

// SEC-L7
fn a_login_never_adopts_a_session(store: Store) {
    let service = Service::start(store);
    service.register("erin@example.com");
    let first = service.login("erin@example.com");
    let again = service.send(&login("erin@example.com", PASSWORD).bearer(&first.access));
    assert_ne!(Tokens::of(&again).sid(), first.sid());
    assert_eq!(service.check(&first.access), 200);
}

// SEC-L11, SEC-D1
fn bodies_of_other_shapes_are_refused(store: Store) {
    let service = Service::start(store);
    service.register("frank@example.com");
    let raw = |path: &str, body: String| {
        service.send(&Request::new("POST", path).header("Content-Type", "application/json").body(body))
    };
    for path in ["/auth/register", "/auth/login"] {
        for body in [
            "",
            "[]",
            "{}",
            r#"{"email":"x@example.com"}"#,
            r#"{"email":1,"password":"rabbit-hole-7"}"#,
            r#"{"email":"x@example.com","password":null}"#,
            r#"{"email":"x@example.com","password":["rabbit-hole-7"]}"#,
            r#"{"email":"x@example.com","password":"rabbit-hole-7","role":"admin"}"#,
            r#"{"email":"x@example.com","password":"rabbit-hole-7","roles":["admin"]}"#,
            r#"{"email":"x@example.com","email":"y@example.com","password":"rabbit-hole-7"}"#,
            r#"{"Email":"x@example.com","password":"rabbit-hole-7"}"#,
        ] {
            let reply = raw(path, body.to_owned());
            refused(&reply, 400, "malformed_request");
            assert!(!reply.body.contains("rabbit"), "{reply:?}");
        }
        let long = json!({"email": "x@example.com", "password": "a".repeat(1025)});
        refused(&service.post(path, &long), 400, "password_too_long");
        refused(&raw(path, format!("{:<17000}", "{}")), 413, "too_large");
        let form = Request::new("POST", path).header("Content-Type", "application/x-www-form-urlencoded");
        refused(&service.send(&form.body("email=x")), 400, "malformed_request");
    }
    for body in [json!({}), json!({"refresh_token": 1}), json!({"refresh": "x"}), json!({"refresh_token": "x", "y": 1})]
    {
        refused(&service.post("/auth/refresh", &body), 400, "malformed_request");
    }
    refused(&service.refresh("dwr_forged"), 401, "invalid_token");
}

// SEC-L3
#[test]
fn weak_passwords_are_refused_with_the_reason() {
    let service = Service::start(Store::Sqlite);
    for (password, reason) in [("seven77", "8 characters"), ("password1", "commonest"), ("gina.lovelace-9", "address")]
    {
        let reply = service.try_register("gina.lovelace@example.com", password);
        refused(&reply, 400, "weak_password");
        assert!(reply.json()["detail"].as_str().unwrap().contains(reason), "{reply:?}");
    }
}

#[test]
fn without_registration_accounts_are_made_by_administrators_only() {
    let service = Service::start_with(Store::Sqlite, json!({"auth": {"registration": false}}));
    refused(&service.try_register("heidi@example.com", PASSWORD), 403, "registration_off");
    let admin = service.administrator();
    let body = json!({"email": "heidi@example.com", "password": PASSWORD});
    let request = Request::post("/admin/users", &body).bearer(&admin.access);
    assert_eq!(service.send(&request).status, 201);
    service.login("heidi@example.com");
}

// SEC-L4
#[test]
fn unknown_wrong_disabled_and_passwordless_accounts_get_one_answer() {
    let service = Service::start(Store::Sqlite);
    let admin = service.administrator();
    service.register("ivan@example.com");
    let disabled = service.register("judy@example.com");
    assert_eq!(
        service.put(&format!("/admin/users/{disabled}/disabled"), &json!({"disabled": true}), &admin.access).status,
        200
    );
    let body = json!({"email": "mallory@example.com"});
    assert_eq!(service.send(&Request::post("/admin/users", &body).bearer(&admin.access)).status, 201);
    let cases = [
        ("nobody@example.com", PASSWORD),
        ("ivan@example.com", "another-hole-8"),
        ("judy@example.com", PASSWORD),
        ("mallory@example.com", PASSWORD),
    ];
    let seen = |email: &str, password: &str| {
        let reply = service.try_login(email, password);
        refused(&reply, 401, "invalid_credentials");
        let mut body = reply.json();
        body["request_id"] = Value::Null;
        let mut names: Vec<_> = reply.headers.iter().map(|(name, _)| name.to_lowercase()).collect();
        names.sort_unstable();
        (body, names)
    };
    let first = seen(cases[0].0, cases[0].1);
    for (email, password) in cases {
        assert_eq!(seen(email, password), first, "{email}");
    }
}

/// The times are compared with one another in one run, turn by turn, so that a busy machine is busy for both alike. What it does by
/// chance differs from round to round; what the service tells would be there in each.
// SEC-L4
#[test]
fn a_wrong_password_takes_as_long_as_an_unknown_account() {
    let service = Service::start(Store::Sqlite);
    service.register("niaj@example.com");
    let mut ratios = Vec::new();
    while ratios.len() < 4 {
        let ratio = known_to_unknown(&service);
        if (0.9..=1.1).contains(&ratio) {
            return;
        }
        ratios.push(ratio);
    }
    panic!("a known account takes {ratios:.3?} times as long as an unknown one");
}

/// How much longer a hundred wrong passwords of an account take than a hundred of none.
fn known_to_unknown(service: &Service) -> f64 {
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..100 {
        for (email, times) in ["niaj@example.com", "nobody@example.com"].iter().zip(&mut times) {
            let began = Instant::now();
            assert_eq!(service.try_login(email, "another-hole-8").status, 401);
            times.push(began.elapsed());
        }
    }
    // The middle half: what the machine did meanwhile falls into the tails.
    let [known, unknown] = times.map(|mut times| {
        times.sort_unstable();
        times[25..75].iter().map(Duration::as_secs_f64).sum::<f64>()
    });
    known / unknown
}
