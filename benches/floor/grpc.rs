//! A bare tonic `Authorization` server: reads each `CheckRequest` as tonic does and answers OK with one message.

use envoy_types::ext_authz::v3::pb::{Authorization, AuthorizationServer, CheckRequest, CheckResponse};
use prost::Message;
use tonic::transport::Server;
use tonic::{Request, Response, Status};

use crate::load::Address;

struct AlwaysOk(CheckResponse);

#[tonic::async_trait]
impl Authorization for AlwaysOk {
    async fn check(&self, _: Request<CheckRequest>) -> Result<Response<CheckResponse>, Status> {
        Ok(Response::new(self.0.clone()))
    }
}

pub(super) async fn serve(at: &Address, message: &str) {
    let Address::Tcp(at) = at else { panic!("the gRPC floor listens on TCP") };
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap_or_default(), 16);
    let bytes: Vec<u8> = message.as_bytes().chunks(2).map(|pair| byte(pair).expect("hex digits")).collect();
    let answer = CheckResponse::decode(bytes.as_slice()).expect("a CheckResponse");
    let service = AuthorizationServer::new(AlwaysOk(answer));
    Server::builder().add_service(service).serve(*at).await.expect("a free address");
}
