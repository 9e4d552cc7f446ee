//! gRPC's client: `docs/grpc.md`.

#![allow(unreachable_pub, reason = "a module of a test binary")]

use std::net::SocketAddr;

use doorward::grpc::v1;
use tonic::{Request, Status};
use tonic_types::StatusExt;

use crate::bare::{call, framed, message};
use crate::client::{Client, With, ask, login, refused};
use crate::face::{Account, Answer, Device, Face, LAPTOP, Refusal, Session, forms, quotes_nothing, settled};
use crate::rest::Rest;
use crate::service::{PASSWORD, Service, Tokens};

pub struct Grpc {
    server: SocketAddr,
    laptop: Client,
}

impl Grpc {
    pub fn of(service: &Service) -> Self {
        Self { server: service.public(), laptop: Client::named(service, LAPTOP.agent) }
    }

    /// A connection has one user agent.
    fn by<T>(&self, from: Device, ask: impl FnOnce(&Client) -> Result<T, Status>) -> Answer<T> {
        let answer =
            if from.agent == LAPTOP.agent { ask(&self.laptop) } else { ask(&Client::at(self.server, from.agent)) };
        answer.map_err(refusal)
    }

    fn bare(&self, method: &str, body: Vec<u8>) -> Answer<()> {
        let path = format!("/doorward.v1.Auth/{method}");
        let answer = call(self.server, &path, &[("content-type", "application/grpc")], body);
        let status = answer.status.unwrap_or_else(|| panic!("no status with {}", answer.http));
        if status.code() == tonic::Code::Ok { Ok(()) } else { Err(refusal(status)) }
    }
}

impl Face for Grpc {
    fn register(&self, email: &str, password: &str) -> Answer<()> {
        let message = v1::RegisterRequest { email: email.into(), password: password.into() };
        let user = self.by(LAPTOP, |client| client.register(placed(message, LAPTOP)))?.user.unwrap();
        assert!(user.roles.is_empty() && !user.disabled, "{user:?}");
        Ok(())
    }

    fn login_from(&self, from: Device, known: Option<&str>, email: &str, password: &str) -> Answer<Tokens> {
        let request = placed(login(email, password), from);
        let request = if let Some(known) = known { request.bearer(known) } else { request };
        Ok(pair(self.by(from, |client| client.login(request))?.tokens))
    }

    fn refresh_from(&self, from: Device, refresh: &str) -> Answer<Tokens> {
        let request = placed(v1::RefreshRequest { refresh_token: refresh.into() }, from);
        Ok(pair(self.by(from, |client| client.refresh(request))?.tokens))
    }

    fn logout(&self, refresh: &str) -> Answer<()> {
        let request = placed(v1::LogoutRequest {}, LAPTOP).bearer(refresh);
        self.by(LAPTOP, |client| client.logout(request)).map(drop)
    }

    fn account(&self, access: Option<&str>) -> Answer<Account> {
        let request = || {
            let request = ask(v1::GetProfileRequest {});
            if let Some(access) = access { request.bearer(access) } else { request }
        };
        let user = settled(|| self.by(LAPTOP, |client| client.get_profile(request())))?.user.unwrap();
        Ok(Account {
            id: user.id,
            email: user.email,
            confirmed: user.confirmed,
            created: user.created_at.unwrap().seconds,
            updated: user.updated_at.unwrap().seconds,
        })
    }

    fn logout_all(&self, access: &str) -> Answer<u64> {
        let request = ask(v1::LogoutAllRequest {}).bearer(access);
        Ok(self.by(LAPTOP, |client| client.logout_all(request))?.ended_count)
    }

    fn sessions(&self, access: &str) -> Answer<Vec<Session>> {
        let request = || ask(v1::ListSessionsRequest {}).bearer(access);
        let told = settled(|| self.by(LAPTOP, |client| client.list_sessions(request())))?.sessions;
        let session = |session: v1::Session| Session {
            id: session.id,
            created: session.created_at.unwrap().seconds,
            ends: session.expires_at.unwrap().seconds,
            agent: session.device,
            ip: Some(session.ip).filter(|ip| !ip.is_empty()).map(|ip| ip.parse().unwrap()),
            current: session.current,
        };
        Ok(told.into_iter().map(session).collect())
    }

    fn end_session(&self, access: &str, id: &str) -> Answer<()> {
        self.by(LAPTOP, |client| client.revoke(access, id)).map(drop)
    }

    /// What is no message, or none of this kind. Fields of other types and unknown ones are skipped by protobuf itself; then
    /// those that are wanted are missing.
    fn misshapen(&self) -> Vec<(String, Answer<()>)> {
        let number_for_a_text = [0x08, 1];
        let bytes_that_are_no_text = [0x0a, 2, 0xff, 0xff];
        let bodies = [
            ("nothing", Vec::new()),
            ("half a head", vec![0, 0]),
            ("half a message", vec![0, 0, 0, 0, 9, b'a']),
            ("a flag that there is not", vec![9, 0, 0, 0, 0]),
            ("no protobuf", framed(b"\xff\xff")),
            ("bytes that are no text", framed(&bytes_that_are_no_text)),
            ("a number for a text", framed(&number_for_a_text)),
        ];
        let mut told = vec![("no refresh token".to_owned(), self.bare("Refresh", framed(b"")))];
        for method in ["Register", "Login", "Refresh"] {
            told.extend(
                bodies.iter().map(|(what, body)| (format!("{method}: {what}"), self.bare(method, body.clone()))),
            );
        }
        told
    }

    fn oversized(&self) -> Vec<(String, Answer<()>)> {
        let large = v1::LoginRequest { email: "a".repeat(64 << 10), password: PASSWORD.into() };
        // Its length is believed before it has come.
        let announced = vec![0, 0x7f, 0xff, 0xff, 0xff];
        let mut told = vec![("announced".to_owned(), self.bare("Login", announced))];
        told.extend(
            ["Register", "Login", "Refresh"].map(|method| (method.to_owned(), self.bare(method, message(&large)))),
        );
        told
    }

    fn rest(&self) -> Rest {
        Rest(self.server)
    }
}

fn placed<T>(message: T, from: Device) -> Request<T> {
    ask(message).with("x-forwarded-for", &from.ip.to_string())
}

fn pair(tokens: Option<v1::Tokens>) -> Tokens {
    let tokens = tokens.unwrap();
    assert_eq!(tokens.token_type, "Bearer");
    assert!(tokens.expires_in.unwrap().seconds <= tokens.refresh_expires_in.unwrap().seconds);
    Tokens { access: tokens.access_token, refresh: tokens.refresh_token }
}

fn refusal(status: Status) -> Refusal {
    quotes_nothing(&format!("{status:?} {}", String::from_utf8_lossy(status.details())));
    let details = status.get_error_details();
    let reason = &details.error_info().unwrap_or_else(|| panic!("no ErrorInfo: {status:?}")).reason;
    let code = reason.to_lowercase();
    let (http, grpc, _) = forms(&code);
    let again = details.retry_info().and_then(|retry| retry.retry_delay);
    assert_eq!(again.is_some_and(|wait| !wait.is_zero()), matches!(http, 429 | 503), "{status:?}");
    let status = refused(Err::<(), _>(status), grpc, reason);
    let mut headers: Vec<_> = status.metadata().keys().map(|name| format!("{name:?}")).collect();
    headers.sort_unstable();
    Refusal { status: http, code: Some(code), detail: status.message().to_owned(), headers }
}
