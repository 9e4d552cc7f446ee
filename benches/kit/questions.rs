//! What the clients ask: checks as the shipped NGINX file words them, each with the next token in turn, and logins.

use crate::load::http1::Script;

/// `GET /check/nginx` with the header lines of `nginx/doorward/server.conf`, for one token after another.
pub struct Checks<'a> {
    tokens: &'a [String],
    next: usize,
}

impl<'a> Checks<'a> {
    pub fn new(tokens: &'a [String]) -> Self {
        Self { tokens, next: 0 }
    }
}

impl Script for Checks<'_> {
    fn ask(&mut self, into: &mut Vec<u8>) {
        into.extend_from_slice(b"GET /check/nginx HTTP/1.1\r\nAuthorization: Bearer ");
        into.extend_from_slice(self.tokens[self.next].as_bytes());
        into.extend_from_slice(
            b"\r\nAccept: */*\r\nHost: app.example\r\nX-Forwarded-Host: app.example\r\nX-Original-Method: GET\r\n\
            X-Original-URI: /reports/2026/10?page=3\r\nX-Forwarded-Proto: https\r\nX-Forwarded-For: 192.0.2.7\r\n\
            X-Request-Id: 6f1ed002ab5595859014ebf0951522d9\r\nX-Doorward-Route: api\r\n\r\n",
        );
        self.next = (self.next + 1) % self.tokens.len();
    }

    fn hear(&mut self, status: u16, _: &[u8]) -> bool {
        status == 200
    }
}

/// `POST /login` for user after user, keeping their access tokens.
#[derive(Default)]
pub struct Logins {
    users: usize,
    pub tokens: Vec<String>,
}

impl Script for Logins {
    fn ask(&mut self, into: &mut Vec<u8>) {
        // All of one length, so that answers are too.
        let body = format!("{{\"user_id\": {}}}", 1_000_000 + self.users);
        self.users += 1;
        let head = "POST /login HTTP/1.1\r\nHost: doorward\r\nContent-Type: application/json\r\n";
        into.extend_from_slice(format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()).as_bytes());
    }

    fn hear(&mut self, status: u16, body: &[u8]) -> bool {
        let pair: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
        if let Some(access) = pair["access"].as_str() {
            self.tokens.push(access.to_owned());
        }
        status == 200
    }
}
