//! Sessions that have ended are remembered, and forgotten when their time is over. The service keeps them for weeks: here another
//! node, in this process, forgets them sooner. That time is counted in days as is configured, and that one node does it at a time,
//! is shown in `accounts`.

use std::sync::Arc;

use doorward::accounts::retention::{Retaining, Settings};
use doorward::clock::SystemClock;
use doorward::database::{self, Database, query};
use doorward::units::Span;
use doorward::users::UserId;
use doorward::users::history::{History, PastSession};
use doorward::users::sql::SqlUsers;

use crate::at_every_face;
use crate::face::LAPTOP;
use crate::harness::wait::wait_for;
use crate::scene::{At, Scene};

at_every_face!(an_ended_session_is_remembered_and_then_forgotten);

fn an_ended_session_is_remembered_and_then_forgotten(at: At) {
    let Scene { face, service } = at.start();
    let id = UserId::new(&service.register("alice@example.com")).unwrap();
    let (ends, lives) = (face.sign_in("alice@example.com"), face.sign_in("alice@example.com"));
    face.logout(&ends.refresh).unwrap();

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let settings = database::Settings { url: service.users_url(), ..database::Settings::default() };
    let database = runtime.block_on(database::connect(&settings, Arc::new(SystemClock))).unwrap();
    let users = Arc::new(SqlUsers::new(database.clone()));
    let remembered = || runtime.block_on(users.of_user(&id, 10)).unwrap();

    wait_for("the end is remembered", || remembered().iter().any(|past| past.ended.is_some()));
    let past = remembered();
    let told: Vec<_> = past.iter().map(|past| (past.sid.to_string(), cause(past))).collect();
    assert_eq!(told, [(lives.sid(), None), (ends.sid(), Some("logout"))]);
    assert!(past.iter().all(|past| past.user_agent.starts_with(LAPTOP.agent) && past.ip == Some(LAPTOP.ip.into())));

    let settings = Settings { expired: Span::millis(1), revoked: Span::millis(1) };
    let node = Retaining::new(users.clone(), users.clone(), users.clone(), settings);
    wait_for("it is forgotten", || {
        runtime.block_on(async {
            the_other_node_is_done(&database).await;
            node.tidy().await.unwrap();
        });
        remembered().len() == 1
    });
    assert_eq!(remembered()[0].sid.to_string(), lives.sid(), "what lives is kept");
    face.refresh(&lives.refresh).unwrap();
}

fn cause(past: &PastSession) -> Option<&str> {
    past.ended.as_ref().map(|(_, cause)| cause.as_str())
}

/// As more than an hour later.
async fn the_other_node_is_done(database: &Database) {
    query("UPDATE lease SET until = 0").run(database).await.unwrap();
}
