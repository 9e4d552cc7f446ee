//! REST's client: `docs/accounts.md`.

#![allow(unreachable_pub, reason = "a module of a test binary")]

use std::net::SocketAddr;

use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::face::{Account, Answer, Device, Face, LAPTOP, Refusal, SOMEBODY, Session, forms, quotes_nothing, settled};
use crate::harness::http::{Reply, Request};
use crate::service::{PASSWORD, Tokens, login, refused};

#[derive(Clone, Copy)]
pub struct Rest(pub SocketAddr);

impl Rest {
    fn send(self, from: Device, request: Request) -> Answer<Reply> {
        let reply = placed(request, from).send(self.0);
        if reply.status < 300 { Ok(reply) } else { Err(refusal(&reply)) }
    }

    fn get(self, path: &str, access: &str) -> Answer<Value> {
        Ok(self.send(LAPTOP, Request::get(path).bearer(access))?.json())
    }

    /// A request without a body.
    fn ask(self, method: &str, path: &str, bearer: &str) -> Answer<Value> {
        let request = Request::new(method, path).header("Content-Length", "0").bearer(bearer);
        Ok(self.send(LAPTOP, request)?.json())
    }

    fn raw(self, path: &str, body: &str) -> Answer<()> {
        let request = Request::new("POST", path).header("Content-Type", "application/json").body(body);
        self.send(LAPTOP, request).map(drop)
    }
}

impl Face for Rest {
    fn register(&self, email: &str, password: &str) -> Answer<()> {
        let body = json!({"email": email, "password": password});
        let reply = self.send(LAPTOP, Request::post("/auth/register", &body))?;
        assert_eq!((reply.status, &reply.json()["roles"], &reply.json()["disabled"]), (201, &json!([]), &json!(false)));
        Ok(())
    }

    fn login_from(&self, from: Device, known: Option<&str>, email: &str, password: &str) -> Answer<Tokens> {
        let request = login(email, password);
        let request = if let Some(known) = known { request.bearer(known) } else { request };
        self.send(from, request).map(|reply| Tokens::of(&reply))
    }

    fn refresh_from(&self, from: Device, refresh: &str) -> Answer<Tokens> {
        let request = Request::post("/auth/refresh", &json!({"refresh_token": refresh}));
        self.send(from, request).map(|reply| Tokens::of(&reply))
    }

    fn logout(&self, refresh: &str) -> Answer<()> {
        self.ask("POST", "/auth/logout", refresh).map(drop)
    }

    fn account(&self, access: Option<&str>) -> Answer<Account> {
        let request = Request::get("/profile");
        let request = if let Some(access) = access { request.bearer(access) } else { request };
        let user = settled(|| self.send(LAPTOP, request.clone()))?.json();
        Ok(Account {
            id: text(&user["id"]),
            email: text(&user["email"]),
            confirmed: user["confirmed"].as_bool().unwrap(),
            created: moment(&user["created_at"]),
            updated: moment(&user["updated_at"]),
        })
    }

    fn logout_all(&self, access: &str) -> Answer<u64> {
        Ok(self.ask("POST", "/auth/logout-all", access)?["ended"].as_u64().unwrap())
    }

    fn sessions(&self, access: &str) -> Answer<Vec<Session>> {
        let told = settled(|| self.get("/auth/sessions", access))?;
        quotes_nothing(&told.to_string());
        assert!(!told.to_string().contains("dwr_") && !told.to_string().contains(access), "{told}");
        let session = |session: &Value| Session {
            id: text(&session["id"]),
            created: moment(&session["created_at"]),
            ends: moment(&session["expires_at"]),
            agent: text(&session["device"]),
            ip: session["ip"].as_str().map(|ip| ip.parse().unwrap()),
            current: session["current"].as_bool().unwrap(),
        };
        Ok(told["sessions"].as_array().unwrap().iter().map(session).collect())
    }

    fn end_session(&self, access: &str, id: &str) -> Answer<()> {
        self.ask("DELETE", &format!("/auth/sessions/{id}"), access).map(drop)
    }

    fn misshapen(&self) -> Vec<(String, Answer<()>)> {
        let sign_in = [
            "".to_owned(),
            "[]".to_owned(),
            "{}".to_owned(),
            format!(r#"{{"email":"{SOMEBODY}"}}"#),
            format!(r#"{{"email":1,"password":"{PASSWORD}"}}"#),
            format!(r#"{{"email":"{SOMEBODY}","password":null}}"#),
            format!(r#"{{"email":"{SOMEBODY}","password":["{PASSWORD}"]}}"#),
            format!(r#"{{"email":"{SOMEBODY}","password":"{PASSWORD}","role":"admin"}}"#),
            format!(r#"{{"email":"{SOMEBODY}","password":"{PASSWORD}","roles":["admin"]}}"#),
            format!(r#"{{"email":"{SOMEBODY}","email":"other@example.com","password":"{PASSWORD}"}}"#),
            format!(r#"{{"Email":"{SOMEBODY}","password":"{PASSWORD}"}}"#),
        ];
        let refresh = ["{}", r#"{"refresh_token":1}"#, r#"{"refresh":"dwr_x"}"#, r#"{"refresh_token":"dwr_x","x":1}"#];
        let form = Request::new("POST", "/auth/login").header("Content-Type", "application/x-www-form-urlencoded");
        let form = form.body(format!("email={SOMEBODY}&password={PASSWORD}"));
        let mut told = vec![("a form".to_owned(), self.send(LAPTOP, form).map(drop))];
        for path in ["/auth/register", "/auth/login"] {
            told.extend(sign_in.iter().map(|body| (format!("{path} {body}"), self.raw(path, body))));
        }
        told.extend(refresh.map(|body| (body.to_owned(), self.raw("/auth/refresh", body))));
        told
    }

    fn oversized(&self) -> Vec<(String, Answer<()>)> {
        let sign_in = json!({"email": SOMEBODY, "password": PASSWORD}).to_string();
        // What is behind is no part of the object, but of the body.
        let large = format!("{sign_in:<17000}");
        ["/auth/register", "/auth/login", "/auth/refresh"]
            .map(|path| (path.to_owned(), self.raw(path, &large)))
            .to_vec()
    }

    fn rest(&self) -> Rest {
        *self
    }
}

/// The request as it comes from there.
pub fn placed(request: Request, from: Device) -> Request {
    request.header("User-Agent", from.agent).header("X-Forwarded-For", &from.ip.to_string())
}

/// The names of an answer's headers.
pub fn names(reply: &Reply) -> Vec<String> {
    let mut names: Vec<_> = reply.headers.iter().map(|(name, _)| name.to_lowercase()).collect();
    names.sort_unstable();
    names
}

fn refusal(reply: &Reply) -> Refusal {
    quotes_nothing(&reply.body);
    let problem = reply.json();
    let code = text(&problem["code"]);
    let status = forms(&code).0;
    refused(reply, status, &code);
    assert_eq!(reply.header("cache-control"), Some("no-store"), "{reply:?}");
    assert_eq!(reply.header("retry-after").is_some(), matches!(status, 429 | 503), "{reply:?}");
    Refusal { status, detail: text(&problem["detail"]), code: Some(code), headers: names(reply) }
}

pub fn text(of: &Value) -> String {
    of.as_str().unwrap_or_else(|| panic!("a text: {of}")).to_owned()
}

/// RFC 3339's, in seconds.
pub fn moment(of: &Value) -> i64 {
    OffsetDateTime::parse(&text(of), &Rfc3339).unwrap().unix_timestamp()
}
