//! What there is to ask for: the types and fields of `docs/schema.graphql`, each a call of `accounts`. Descriptions here are the
//! schema's own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_graphql::{
    Context, EmptySubscription, Error, ID, InputValueError, InputValueResult, Object, Scalar, ScalarType, Schema,
    SimpleObject, Value,
};
use http::HeaderMap;
use serde_json::json;

use super::document::Most;
use crate::accounts::AccountError;
use crate::fault::Kind;
use crate::issue::{Call, TokenPair};
use crate::state::Device;
use crate::token::bearer::bearer;
use crate::token::refresh::Manner;
use crate::users;
use crate::web::Desk;
use crate::web::problem::Problem;
use crate::web::session::BEARER_WANTED;
use crate::web::view::moment;

pub(super) type Accounts = Schema<Query, Mutation, EmptySubscription>;

pub(super) fn schema(most: Most) -> Accounts {
    let builder = Schema::build(Query, Mutation, EmptySubscription)
        .limit_depth(most.depth)
        .limit_complexity(most.complexity)
        .limit_directives(most.directives);
    // Suggestions for misspelt names are introspection by guessing.
    let builder = if most.introspection { builder } else { builder.disable_introspection().disable_suggestions() };
    builder.finish()
}

/// One request, for the fields that it asks for.
pub(super) struct Asked {
    pub(super) desk: Arc<Desk>,
    pub(super) headers: HeaderMap,
    pub(super) call: Call,
    pub(super) device: Device,
    /// Whether some field could not be answered now: advice that stands in the answer's head.
    pub(super) unavailable: Arc<AtomicBool>,
}

impl Asked {
    fn accounts(&self) -> Result<&crate::accounts::Accounts, Problem> {
        self.desk.accounts()
    }

    fn bearer(&self) -> Result<&str, Problem> {
        bearer(&self.headers).map_err(|none| Problem::of(&none, BEARER_WANTED))
    }

    fn refuse(&self, problem: &Problem) -> Error {
        self.note(problem);
        Error::from(problem)
    }

    fn note(&self, problem: &Problem) {
        if problem.kind == Kind::Unavailable {
            self.unavailable.store(true, Ordering::Relaxed);
        }
    }
}

pub(super) struct DateTime(String);

/// A moment in UTC by RFC 3339, such as `2026-11-25T09:54:33Z`.
#[Scalar]
impl ScalarType for DateTime {
    fn parse(_: Value) -> InputValueResult<Self> {
        Err(InputValueError::custom("no field takes a moment"))
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.clone())
    }
}

#[derive(SimpleObject)]
pub(super) struct User {
    id: ID,
    email: String,
    /// Whether its owner was seen to receive mail there.
    confirmed: bool,
    created_at: DateTime,
    updated_at: DateTime,
}

impl User {
    fn of(user: &users::User) -> Self {
        Self {
            id: user.id.to_string().into(),
            email: user.email.clone(),
            confirmed: user.confirmed,
            created_at: DateTime(moment(user.created)),
            updated_at: DateTime(moment(user.updated)),
        }
    }
}

#[derive(SimpleObject)]
pub(super) struct MutationError {
    /// The argument that is wrong, or the mutation where no argument is to blame.
    path: String,
    message: String,
}

#[derive(SimpleObject)]
pub(super) struct MutationResponse {
    /// An HTTP status; that of the answer is 200.
    status: i32,
    /// Null where all went well.
    errors: Option<Vec<MutationError>>,
    /// A JSON string with `access_token` and `refresh_token`; null on errors.
    payload: Option<String>,
}

impl MutationResponse {
    fn signed_in(status: i32, tokens: &TokenPair) -> Self {
        let payload = json!({ "access_token": tokens.access, "refresh_token": tokens.refresh });
        Self { status, errors: None, payload: Some(payload.to_string()) }
    }

    fn refused(problem: &Problem, path: &str) -> Self {
        let error = MutationError { path: path.to_owned(), message: problem.detail.to_string() };
        Self { status: problem.kind.http().as_u16().into(), errors: Some(vec![error]), payload: None }
    }

    fn of(asked: &Asked, status: i32, mutation: &str, opened: Result<TokenPair, AccountError>) -> Self {
        match opened {
            Ok(tokens) => Self::signed_in(status, &tokens),
            Err(error) => {
                let problem = Problem::account(&error);
                asked.note(&problem);
                Self::refused(&problem, argument(&error).unwrap_or(mutation))
            }
        }
    }
}

/// The argument that a form would mark.
const fn argument(error: &AccountError) -> Option<&'static str> {
    match error {
        AccountError::Email(_) | AccountError::Taken | AccountError::Credentials => Some("email"),
        AccountError::PasswordTooLong(_) | AccountError::Unfit(_) => Some("password"),
        _ => None,
    }
}

pub(super) struct Query;

#[Object]
impl Query {
    /// Whose access token is the bearer.
    async fn me(&self, context: &Context<'_>) -> Result<User, Error> {
        let asked: &Asked = context.data()?;
        let me = async {
            let (accounts, caller) = asked.desk.account_call(&asked.headers).await?;
            accounts.profile(&caller, &asked.call).await.map_err(|error| Problem::account(&error))
        };
        Ok(User::of(&me.await.map_err(|problem| asked.refuse(&problem))?))
    }
}

pub(super) struct Mutation;

#[Object]
impl Mutation {
    /// Makes an account and signs in.
    #[graphql(complexity = "10 + child_complexity")]
    async fn register(
        &self,
        context: &Context<'_>,
        email: String,
        password: String,
    ) -> Result<MutationResponse, Error> {
        let asked: &Asked = context.data()?;
        let accounts = asked.accounts().map_err(|problem| asked.refuse(&problem))?;
        let (device, call) = (asked.device.clone(), &asked.call);
        let opened = accounts.register_and_login(Manner::InPlace, &email, &password, device, call).await;
        Ok(MutationResponse::of(asked, 201, "register", opened))
    }

    /// Signs in. A token of an earlier sign-in on this device, as the bearer, tells it apart from strangers.
    #[graphql(complexity = "10 + child_complexity")]
    async fn login(&self, context: &Context<'_>, email: String, password: String) -> Result<MutationResponse, Error> {
        let asked: &Asked = context.data()?;
        let accounts = asked.accounts().map_err(|problem| asked.refuse(&problem))?;
        let (known, device) = (asked.bearer().ok(), asked.device.clone());
        let opened = accounts.login_refreshed(Manner::InPlace, &email, &password, known, device, &asked.call).await;
        Ok(MutationResponse::of(asked, 200, "login", opened))
    }

    /// A new access token for the refresh token that is the bearer. That stays good.
    async fn refresh(&self, context: &Context<'_>) -> Result<String, Error> {
        let asked: &Asked = context.data()?;
        let refreshed = async {
            let (accounts, shown) = (asked.accounts()?, asked.bearer()?);
            let refreshed = accounts.refresh_in_place(shown, &asked.device, &asked.call).await;
            refreshed.map_err(|error| Problem::account(&error))
        };
        refreshed.await.map_err(|problem| asked.refuse(&problem))
    }

    /// Ends the session of the refresh token that is the bearer.
    async fn logout(&self, context: &Context<'_>) -> Result<bool, Error> {
        let asked: &Asked = context.data()?;
        let ended = async {
            let (accounts, shown) = (asked.accounts()?, asked.bearer()?);
            accounts.logout(shown, &asked.call).await.map_err(|error| Problem::account(&error))
        };
        ended.await.map_err(|problem| asked.refuse(&problem))?;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use async_graphql::SDLExportOptions;

    use super::*;
    use crate::web::graphql::document::USUAL;

    #[test]
    fn the_schema_is_the_one_that_is_documented() {
        let sdl = schema(USUAL).sdl_with_options(
            SDLExportOptions::new().prefer_single_line_descriptions().use_space_ident().indent_width(2),
        );
        let documented = include_str!("../../../docs/schema.graphql");
        assert!(sdl.trim() == documented.trim(), "docs/schema.graphql should be:\n{}", sdl.trim());
    }
}
