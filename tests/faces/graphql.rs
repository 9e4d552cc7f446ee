//! GraphQL's client: `docs/graphql.md`. It has no list of sessions, no end of all, and its refresh token stays.

#![allow(unreachable_pub, reason = "a module of a test binary")]

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::asking::{LOGIN, LOGOUT, ME, REFRESH, REGISTER, document, not_executed, not_signed_in, refused, signed_in};
use crate::face::{Account, Answer, Device, Face, LAPTOP, Refusal, SOMEBODY, forms, quotes_nothing, settled};
use crate::harness::http::{Reply, Request};
use crate::rest::{Rest, moment, names, placed, text};
use crate::service::{PASSWORD, Tokens};

pub struct GraphQl(pub SocketAddr);

impl GraphQl {
    /// The field's value.
    fn send(&self, from: Device, field: &str, request: Request) -> Answer<Value> {
        let reply = placed(request, from).send(self.0);
        let value = &reply.json()["data"][field];
        if value.is_null() { Err(refusal(&reply)) } else { Ok(value.clone()) }
    }

    fn ask(&self, from: Device, field: &str, query: &str, bearer: Option<&str>) -> Answer<Value> {
        let request = document(query, &json!({}));
        self.send(from, field, if let Some(bearer) = bearer { request.bearer(bearer) } else { request })
    }

    /// A mutation with credentials.
    fn sign(&self, from: Device, field: &str, status: u16, request: Request) -> Answer<Tokens> {
        let reply = placed(request, from).send(self.0);
        let response = &reply.json()["data"][field];
        if response.is_null() {
            return Err(refusal(&reply));
        }
        assert_eq!((reply.status, reply.header("cache-control")), (200, Some("no-store")), "{reply:?}");
        if !response["payload"].is_null() {
            return Ok(signed_in(response, status));
        }
        quotes_nothing(&reply.body);
        let refused = u16::try_from(response["status"].as_u64().unwrap()).unwrap();
        let error = &response["errors"][0];
        not_signed_in(response, refused, &text(&error["path"]));
        Err(Refusal { status: refused, code: None, detail: text(&error["message"]), headers: names(&reply) })
    }

    fn refused(&self, query: &str, variables: &Value) -> Answer<()> {
        self.send(LAPTOP, "login", document(query, variables)).map(drop)
    }
}

impl Face for GraphQl {
    fn register(&self, email: &str, password: &str) -> Answer<()> {
        let request = document(REGISTER, &json!({"email": email, "password": password}));
        self.sign(LAPTOP, "register", 201, request).map(drop)
    }

    fn login_from(&self, from: Device, known: Option<&str>, email: &str, password: &str) -> Answer<Tokens> {
        let request = document(LOGIN, &json!({"email": email, "password": password}));
        let request = if let Some(known) = known { request.bearer(known) } else { request };
        self.sign(from, "login", 200, request)
    }

    fn refresh_from(&self, from: Device, refresh: &str) -> Answer<Tokens> {
        let access = text(&self.ask(from, "refresh", REFRESH, Some(refresh))?);
        Ok(Tokens { access, refresh: refresh.to_owned() })
    }

    fn rotate_from(&self, from: Device, refresh: &str) -> Answer<Tokens> {
        self.rest().refresh_from(from, refresh)
    }

    fn logout(&self, refresh: &str) -> Answer<()> {
        assert_eq!(self.ask(LAPTOP, "logout", LOGOUT, Some(refresh))?, true);
        Ok(())
    }

    fn account(&self, access: Option<&str>) -> Answer<Account> {
        let me = settled(|| self.ask(LAPTOP, "me", ME, access))?;
        Ok(Account {
            id: text(&me["id"]),
            email: text(&me["email"]),
            confirmed: me["confirmed"].as_bool().unwrap(),
            created: moment(&me["createdAt"]),
            updated: moment(&me["updatedAt"]),
        })
    }

    fn misshapen(&self) -> Vec<(String, Answer<()>)> {
        let mut told: Vec<_> = [
            "",
            "login",
            "mutation { login(email: \"somebody@example.com\", password: \"rabbit }",
            "mutation { login(email: \"somebody@example.com\") { status } }",
            "mutation { login(email: \"somebody@example.com\", password: 7) { status } }",
            "mutation { login(email: \"somebody@example.com\", password: null) { status } }",
            "mutation { login(email: [\"somebody@example.com\"], password: \"rabbit-hole-7\") { status } }",
            "mutation { login(email: \"somebody@example.com\", password: {rabbit: 1}) { status } }",
            "mutation { login(email: \"somebody@example.com\", password: \"rabbit-hole-7\", role: \"admin\") { status } }",
            "mutation { login(email: \"somebody@example.com\", password: \"rabbit-hole-7\") { status token } }",
            "mutation { register(email: \"somebody@example.com\", password: \"rabbit-hole-7\", roles: [\"admin\"]) { status } }",
            "mutation { register(email: \"somebody@example.com\", email: \"a@b.example\", password: \"rabbit-hole-7\") { status } }",
        ]
        .map(|query| (query.to_owned(), self.refused(query, &json!({}))))
        .to_vec();
        for mutation in [REGISTER, LOGIN] {
            for variables in [
                json!({}),
                json!({"email": SOMEBODY}),
                json!({"email": 1, "password": PASSWORD}),
                json!({"email": SOMEBODY, "password": null}),
                json!({"email": SOMEBODY, "password": [PASSWORD]}),
            ] {
                told.push((format!("{mutation} {variables}"), self.refused(mutation, &variables)));
            }
        }
        told
    }

    fn oversized(&self) -> Vec<(String, Answer<()>)> {
        let variables = json!({"email": SOMEBODY, "password": PASSWORD, "x": "x".repeat(17_000)});
        [REGISTER, LOGIN].map(|mutation| (mutation.to_owned(), self.refused(mutation, &variables))).to_vec()
    }

    fn rest(&self) -> Rest {
        Rest(self.0)
    }
}

/// Of a field, or of the whole request.
fn refusal(reply: &Reply) -> Refusal {
    quotes_nothing(&reply.body);
    let error = &reply.json()["errors"][0];
    let told = text(&error["extensions"]["code"]);
    if let Some(reason) = error["extensions"]["reason"].as_str() {
        let (status, _, code) = forms(reason);
        refused(reply, code, reason);
        assert_eq!(error["extensions"]["originalError"]["statusCode"], status, "{reply:?}");
        return Refusal {
            status,
            code: Some(reason.to_owned()),
            detail: text(&error["message"]),
            headers: names(reply),
        };
    }
    not_executed(reply, reply.status, &told);
    Refusal { status: reply.status, code: None, detail: text(&error["message"]), headers: names(reply) }
}
