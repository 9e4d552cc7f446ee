//! One gRPC client: a connection, and the calls over it, each waited for.

#![allow(dead_code, unreachable_pub, reason = "shared by test binaries, each of which uses its part")]

use std::net::SocketAddr;

use doorward::grpc::v1::auth_client::AuthClient;
use doorward::grpc::v1::{self, Tokens};
use tokio::runtime::Runtime;
use tonic::metadata::{MetadataKey, MetadataValue};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Response, Status};
use tonic_types::StatusExt;

use crate::service::{PASSWORD, Service};

pub struct Client {
    runtime: Runtime,
    channel: Channel,
    auth: AuthClient<Channel>,
}

macro_rules! calls {
    ($($name:ident: $request:ident -> $response:ident),+ $(,)?) => {
        $(pub fn $name(&self, request: Request<v1::$request>) -> Result<v1::$response, Status> {
            let mut auth = self.auth.clone();
            self.runtime.block_on(async { auth.$name(request).await.map(Response::into_inner) })
        })+
    };
}

impl Client {
    pub fn of(service: &Service) -> Self {
        Self::named(service, "test")
    }

    /// A client whose `user-agent` begins so.
    pub fn named(service: &Service, user_agent: &'static str) -> Self {
        Self::at(service.public(), user_agent)
    }

    pub fn at(server: SocketAddr, user_agent: &'static str) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let endpoint = Endpoint::from_shared(format!("http://{server}")).unwrap();
        let channel = runtime.block_on(endpoint.user_agent(user_agent).unwrap().connect()).unwrap();
        Self { runtime, auth: AuthClient::new(channel.clone()), channel }
    }

    /// Waits for what is done with the connection otherwise.
    pub fn wait_for<T>(&self, work: impl AsyncFnOnce(Channel) -> T) -> T {
        self.runtime.block_on(work(self.channel.clone()))
    }

    calls! {
        register: RegisterRequest -> RegisterResponse,
        login: LoginRequest -> LoginResponse,
        refresh: RefreshRequest -> RefreshResponse,
        logout: LogoutRequest -> LogoutResponse,
        logout_all: LogoutAllRequest -> LogoutAllResponse,
        validate: ValidateRequest -> ValidateResponse,
        list_sessions: ListSessionsRequest -> ListSessionsResponse,
        revoke_session: RevokeSessionRequest -> RevokeSessionResponse,
        get_profile: GetProfileRequest -> GetProfileResponse,
    }

    pub fn try_register(&self, email: &str, password: &str) -> Result<v1::User, Status> {
        let message = v1::RegisterRequest { email: email.into(), password: password.into() };
        self.register(ask(message)).map(|answer| answer.user.unwrap())
    }

    /// A new account with the usual password, and its first session.
    pub fn account(&self, email: &str) -> Tokens {
        self.try_register(email, PASSWORD).unwrap();
        self.sign_in(email)
    }

    pub fn try_login(&self, email: &str, password: &str) -> Result<Tokens, Status> {
        self.login(ask(login(email, password))).map(|answer| answer.tokens.unwrap())
    }

    pub fn sign_in(&self, email: &str) -> Tokens {
        self.try_login(email, PASSWORD).unwrap()
    }

    pub fn renew(&self, refresh: &str) -> Result<Tokens, Status> {
        let message = v1::RefreshRequest { refresh_token: refresh.into() };
        self.refresh(ask(message)).map(|answer| answer.tokens.unwrap())
    }

    pub fn profile(&self, access: &str) -> Result<v1::User, Status> {
        self.get_profile(ask(v1::GetProfileRequest {}).bearer(access)).map(|answer| answer.user.unwrap())
    }

    pub fn sessions(&self, access: &str) -> Vec<v1::Session> {
        self.list_sessions(ask(v1::ListSessionsRequest {}).bearer(access)).unwrap().sessions
    }

    pub fn revoke(&self, access: &str, session_id: &str) -> Result<v1::RevokeSessionResponse, Status> {
        self.revoke_session(ask(v1::RevokeSessionRequest { session_id: session_id.into() }).bearer(access))
    }

    pub fn end(&self, bearer: &str) -> Result<v1::LogoutResponse, Status> {
        self.logout(ask(v1::LogoutRequest {}).bearer(bearer))
    }
}

pub fn login(email: &str, password: &str) -> v1::LoginRequest {
    v1::LoginRequest { email: email.into(), password: password.into() }
}

pub fn ask<T>(message: T) -> Request<T> {
    Request::new(message)
}

/// Metadata that a request is sent with.
pub trait With: Sized {
    fn with(self, name: &str, value: &str) -> Self;

    fn bearer(self, token: &str) -> Self {
        self.with("authorization", &format!("Bearer {token}"))
    }
}

impl<T> With for Request<T> {
    fn with(mut self, name: &str, value: &str) -> Self {
        let name = MetadataKey::from_bytes(name.as_bytes()).unwrap();
        self.metadata_mut().append(name, MetadataValue::try_from(value).unwrap());
        self
    }
}

/// Asserts a refusal in the form that all have; its words.
#[track_caller]
pub fn refused<T: std::fmt::Debug>(answer: Result<T, Status>, code: Code, reason: &str) -> Status {
    let status = answer.expect_err("a refusal");
    let details = status.get_error_details();
    let info = details.error_info().unwrap_or_else(|| panic!("no ErrorInfo: {status:?}"));
    assert_eq!((status.code(), info.reason.as_str(), info.domain.as_str()), (code, reason, "doorward"), "{status:?}");
    let id = status.metadata().get("x-request-id").expect("a request id").to_str().unwrap();
    assert_eq!(details.request_info().expect("RequestInfo").request_id, id);
    assert!(!status.message().is_empty());
    status
}
