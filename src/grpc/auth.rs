//! `doorward.v1.Auth`: each method is one call of `accounts`. What the answers mean is told in `proto/doorward/v1/auth.proto`.

use std::sync::Arc;

use http::HeaderMap;
use tonic::{Request, Response, Status, async_trait};

use crate::accounts::{Accounts, Caller};
use crate::check::Denial;
use crate::grpc::refusal::wanted;
use crate::grpc::v1;
use crate::grpc::v1::auth_server::Auth;
use crate::issue::Call;
use crate::state::Device;
use crate::token::bearer::bearer;
use crate::token::jws::Compact;
use crate::web::problem::Problem;
use crate::web::session::{BEARER_WANTED, user_agent};
use crate::web::{Desk, oauth2};

type Answer<T> = Result<Response<T>, Status>;

/// The service, at the desk that `web` works at too.
#[derive(Clone, Debug)]
pub(super) struct AuthCalls {
    desk: Arc<Desk>,
}

/// One call, taken apart.
struct Asked<T> {
    call: Call,
    metadata: HeaderMap,
    message: T,
}

impl<T> Asked<T> {
    fn of(request: Request<T>) -> Self {
        let (metadata, extensions, message) = request.into_parts();
        // `every_call` put it there.
        let call = extensions.get::<Call>().cloned().unwrap_or_default();
        Self { call, metadata: metadata.into_headers(), message }
    }

    fn device(&self) -> Device {
        Device { user_agent: user_agent(&self.metadata), ip: self.call.client }
    }

    fn bearer(&self) -> Result<&str, Problem> {
        bearer(&self.metadata).map_err(|none| Problem::of(&none, BEARER_WANTED))
    }
}

#[async_trait]
impl Auth for AuthCalls {
    async fn register(&self, request: Request<v1::RegisterRequest>) -> Answer<v1::RegisterResponse> {
        let Asked { call, message, .. } = Asked::of(request);
        let user = self.accounts()?.register(&message.email, &message.password, &call).await;
        let user = user.map_err(|error| Problem::account(&error))?;
        Ok(Response::new(v1::RegisterResponse { user: Some(user.into()) }))
    }

    async fn login(&self, request: Request<v1::LoginRequest>) -> Answer<v1::LoginResponse> {
        let asked = Asked::of(request);
        let (device, known) = (asked.device(), bearer(&asked.metadata).ok());
        let v1::LoginRequest { email, password } = &asked.message;
        let pair = self.accounts()?.login(email, password, known, device, &asked.call).await;
        let pair = pair.map_err(|error| Problem::account(&error))?;
        Ok(Response::new(v1::LoginResponse { tokens: Some(pair.into()) }))
    }

    async fn refresh(&self, request: Request<v1::RefreshRequest>) -> Answer<v1::RefreshResponse> {
        let asked = Asked::of(request);
        let device = asked.device();
        let shown = wanted("refresh_token", asked.message.refresh_token)?;
        let pair = self.accounts()?.refresh(&shown, &device, &asked.call).await;
        let pair = pair.map_err(|error| Problem::account(&error))?;
        Ok(Response::new(v1::RefreshResponse { tokens: Some(pair.into()) }))
    }

    async fn logout(&self, request: Request<v1::LogoutRequest>) -> Answer<v1::LogoutResponse> {
        let asked = Asked::of(request);
        let ended = self.accounts()?.logout(asked.bearer()?, &asked.call).await;
        ended.map_err(|error| Problem::account(&error))?;
        Ok(Response::new(v1::LogoutResponse {}))
    }

    async fn logout_all(&self, request: Request<v1::LogoutAllRequest>) -> Answer<v1::LogoutAllResponse> {
        let asked = Asked::of(request);
        let (accounts, caller) = self.account_call(&asked).await?;
        let ended_count = accounts.logout_all(&caller, &asked.call).await.map_err(|error| Problem::account(&error))?;
        Ok(Response::new(v1::LogoutAllResponse { ended_count }))
    }

    async fn validate(&self, request: Request<v1::ValidateRequest>) -> Answer<v1::ValidateResponse> {
        let asked = Asked::of(request);
        let own = asked.message.token.is_empty();
        let shown = if own {
            self.desk.plain(&asked.call).await?;
            asked.bearer()?
        } else {
            // Who asks of tokens that others hold has proved who that is (SEC-T24).
            oauth2::caller_by_head(&self.desk, &asked.metadata, &asked.call).await?;
            &asked.message.token
        };
        let identity = match self.desk.authenticates.authenticate(shown).await {
            Ok(identity) => identity,
            // Of another's token its end is an answer, and why it does not count is nobody's business (RFC 7662 section 2.2).
            Err(denial) if !own && denial != Denial::Unavailable => {
                return Ok(Response::new(v1::ValidateResponse::default()));
            }
            Err(denial) => return Err(Problem::of(&denial, "The token was not accepted.").into()),
        };
        let claims = Compact::parse(shown).and_then(|token| token.claims());
        let claims = claims.map_err(|error| Problem::of(&error, "The token was not accepted."))?;
        Ok(Response::new(v1::ValidateResponse::active(&identity, &claims)))
    }

    async fn list_sessions(&self, request: Request<v1::ListSessionsRequest>) -> Answer<v1::ListSessionsResponse> {
        let asked = Asked::of(request);
        let (accounts, caller) = self.account_call(&asked).await?;
        let sessions = accounts.sessions(&caller, &asked.call).await.map_err(|error| Problem::account(&error))?;
        let sessions = sessions.into_iter().map(Into::into).collect();
        Ok(Response::new(v1::ListSessionsResponse { sessions }))
    }

    async fn revoke_session(&self, request: Request<v1::RevokeSessionRequest>) -> Answer<v1::RevokeSessionResponse> {
        let asked = Asked::of(request);
        let (accounts, caller) = self.account_call(&asked).await?;
        let sid = wanted("session_id", asked.message.session_id)?;
        accounts.end_session(&caller, &sid, &asked.call).await.map_err(|error| Problem::account(&error))?;
        Ok(Response::new(v1::RevokeSessionResponse {}))
    }

    async fn get_profile(&self, request: Request<v1::GetProfileRequest>) -> Answer<v1::GetProfileResponse> {
        let asked = Asked::of(request);
        let (accounts, caller) = self.account_call(&asked).await?;
        let user = accounts.profile(&caller, &asked.call).await.map_err(|error| Problem::account(&error))?;
        Ok(Response::new(v1::GetProfileResponse { user: Some(user.into()) }))
    }
}

impl AuthCalls {
    pub(super) fn at(desk: Arc<Desk>) -> Self {
        Self { desk }
    }

    fn accounts(&self) -> Result<&Accounts, Problem> {
        self.desk.accounts()
    }

    /// What every call of somebody's own account begins with.
    async fn account_call<T: Sync>(&self, asked: &Asked<T>) -> Result<(&Accounts, Caller), Problem> {
        self.desk.account_call(&asked.metadata).await
    }
}
