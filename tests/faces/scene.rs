//! A running service and one face of it; and the macro that makes tests of a promise.

#![allow(unreachable_pub, reason = "a module of a test binary")]

use serde_json::{Value, json};

use crate::face::Face;
use crate::graphql::GraphQl;
use crate::grpc::Grpc;
use crate::harness::http::Request;
use crate::rest::Rest;
use crate::service::{Service, Store};

/// Declares each function, which takes an [`At`], as a test at every face on every store. With `once:`, as one at every face,
/// which takes an [`Of`] and picks its stores.
#[macro_export]
macro_rules! at_every_face {
    (once: $($promise:ident),+ $(,)?) => {$(
        mod $promise {
            use $crate::scene::Of;
            #[test] fn rest() { super::$promise(Of::Rest); }
            #[test] fn grpc() { super::$promise(Of::Grpc); }
            #[test] fn graphql() { super::$promise(Of::GraphQl); }
        }
    )+};
    ($($promise:ident),+ $(,)?) => {
        mod rest { $crate::at_every_face!(@face Rest $($promise)+); }
        mod grpc { $crate::at_every_face!(@face Grpc $($promise)+); }
        mod graphql { $crate::at_every_face!(@face GraphQl $($promise)+); }
    };
    (@face $face:ident $($promise:ident)+) => {
        mod sqlite { $crate::at_every_face!(@store $face Sqlite $($promise)+); }
        mod sqlite_and_redis { $crate::at_every_face!(@store $face SqliteAndRedis $($promise)+); }
        mod postgres { $crate::at_every_face!(@store $face Postgres $($promise)+); }
        mod postgres_and_redis { $crate::at_every_face!(@store $face PostgresAndRedis $($promise)+); }
        mod mariadb { $crate::at_every_face!(@store $face MariaDb $($promise)+); }
        mod mariadb_and_redis { $crate::at_every_face!(@store $face MariaDbAndRedis $($promise)+); }
    };
    (@store $face:ident $store:ident $($promise:ident)+) => {
        use $crate::scene::{At, Of};
        use $crate::service::Store;
        $(#[test] fn $promise() { super::super::$promise(At { face: Of::$face, store: Store::$store }); })+
    };
}

/// Which face.
#[derive(Clone, Copy, Debug)]
pub enum Of {
    Rest,
    Grpc,
    GraphQl,
}

impl Of {
    pub const ALL: [Self; 3] = [Self::Rest, Self::Grpc, Self::GraphQl];

    pub fn face(self, service: &Service) -> Box<dyn Face> {
        match self {
            Self::Rest => Box::new(Rest(service.public())),
            Self::Grpc => Box::new(Grpc::of(service)),
            Self::GraphQl => Box::new(GraphQl(service.public())),
        }
    }
}

/// Where a promise is to be kept.
#[derive(Clone, Copy, Debug)]
pub struct At {
    pub face: Of,
    pub store: Store,
}

pub struct Scene {
    pub face: Box<dyn Face>,
    pub service: Service,
}

impl At {
    pub fn start(self) -> Scene {
        self.start_with(json!({}))
    }

    /// Without limits, unless it is said.
    pub fn start_with(self, over: Value) -> Scene {
        self.scene(Service::start_with(self.store, over))
    }

    /// With the limits that are usual.
    pub fn start_limited(self, over: Value) -> Scene {
        self.scene(Service::start_limited(self.store, over))
    }

    fn scene(self, service: Service) -> Scene {
        Scene { face: self.face.face(&service), service }
    }
}

/// An administrator at work, over REST: there is no other face for it.
pub struct Admin<'a> {
    service: &'a Service,
    access: String,
}

impl<'a> Admin<'a> {
    pub fn of(service: &'a Service) -> Self {
        Self { service, access: service.administrator().access }
    }

    #[track_caller]
    pub fn set_roles(&self, user: &str, roles: &[&str]) {
        let set = self.service.put(&format!("/admin/users/{user}/roles"), &json!({"roles": roles}), &self.access);
        assert_eq!((set.status, &set.json()["roles"]), (200, &json!(roles)), "{set:?}");
    }

    #[track_caller]
    pub fn set_disabled(&self, user: &str, disabled: bool) {
        let body = json!({"disabled": disabled});
        let set = self.service.put(&format!("/admin/users/{user}/disabled"), &body, &self.access);
        assert_eq!((set.status, &set.json()["disabled"]), (200, &json!(disabled)), "{set:?}");
    }

    #[track_caller]
    pub fn delete(&self, user: &str) {
        assert_eq!(self.service.ask("DELETE", &format!("/admin/users/{user}"), &self.access).status, 200);
    }

    /// The events of a user, oldest first.
    #[track_caller]
    pub fn audit_tail(&self, user: &str) -> Vec<Value> {
        let reply = self.service.get(&format!("/admin/audit?user={user}"), &self.access);
        assert_eq!(reply.status, 200, "{reply:?}");
        reply.json()["events"].as_array().unwrap().iter().rev().cloned().collect()
    }

    /// An account without password.
    #[track_caller]
    pub fn make(&self, email: &str) {
        let made = Request::post("/admin/users", &json!({"email": email})).bearer(&self.access);
        assert_eq!(self.service.send(&made).status, 201);
    }
}
