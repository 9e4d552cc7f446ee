//! `grpc.reflection`: what is served here, for tools such as grpcurl. In both versions, since older tools know the older one only.

use axum::Router;
use tonic_reflection::pb::{v1 as now, v1alpha as before};
use tonic_reflection::server::Builder;

use crate::grpc::{route, v1};

/// Questions are names.
const LARGEST_QUESTION: usize = 4 << 10;

/// What there is to tell of: also the details of refusals, so that tools can print them.
const DESCRIPTORS: [&[u8]; 5] = [
    v1::DESCRIPTORS,
    tonic_health::pb::FILE_DESCRIPTOR_SET,
    now::FILE_DESCRIPTOR_SET,
    before::FILE_DESCRIPTOR_SET,
    tonic_types::pb::FILE_DESCRIPTOR_SET,
];

pub(super) fn routes() -> Router {
    let about = || {
        let own = Builder::configure().include_reflection_service(false);
        DESCRIPTORS.into_iter().fold(own, Builder::register_encoded_file_descriptor_set)
    };
    match (about().build_v1(), about().build_v1alpha()) {
        (Ok(now), Ok(before)) => Router::new()
            .merge(route(now.max_decoding_message_size(LARGEST_QUESTION)))
            .merge(route(before.max_decoding_message_size(LARGEST_QUESTION))),
        (Err(error), _) | (_, Err(error)) => {
            tracing::error!(%error, "the descriptors that were compiled in can't be read; reflection is not served");
            Router::new()
        }
    }
}
