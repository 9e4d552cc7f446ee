//! The accept loop: one for every plane.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper::service::Service;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use crate::listen::address::Listener;
use crate::listen::connection::House;
use crate::listen::cores::Cores;
use crate::listen::crowd::Crowd;
use crate::listen::drain::Drain;
use crate::listen::limits::Limits;
use crate::listen::order::Order;
use crate::listen::peer::Peer;
use crate::listen::protocol::{BoxError, Protocols};
use crate::listen::watch::Watch;

/// After a failed `accept` (out of file descriptors, of memory): without a pause the loop would spin until it passes.
const PAUSE: Duration = Duration::from_millis(100);

/// How a listener ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drained {
    /// Connections cut because they did not finish in time.
    pub cut: usize,
}

/// Serves the listener until the drain closes it: `make` gives each connection its service. Returns when all its
/// connections have ended, or were cut when the drain's time to finish was over.
pub async fn serve<M, S, B>(listener: Listener, limits: Limits, make: M, drain: Drain) -> Drained
where
    M: Fn(&Peer) -> S,
    S: Service<Request<Incoming>, Response = Response<B>> + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    B: Body + Unpin + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    serve_on(&Cores::here(), listener, limits, make, drain).await
}

/// The same, with its connections on these cores.
pub async fn serve_on<M, S, B>(cores: &Cores, listener: Listener, limits: Limits, make: M, drain: Drain) -> Drained
where
    M: Fn(&Peer) -> S,
    S: Service<Request<Incoming>, Response = Response<B>> + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    B: Body + Unpin + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    let room = Arc::new(Semaphore::new(limits.connections));
    let crowd = limits.per_address.clone().map(Crowd::new);
    let open = TaskTracker::new();
    let mut watch = Watch::new(&limits);
    let house = Arc::new(House { protocols: Protocols::within(&limits), limits, drain: drain.clone() });

    loop {
        let accepted = async {
            let room = Arc::clone(&room).acquire_owned().await.expect("the semaphore is never closed");
            (listener.accept().await, room)
        };
        let (accepted, room) = tokio::select! {
            biased;
            () = drain.closing() => break,
            () = watch.round() => continue,
            accepted = accepted => accepted,
        };
        match accepted {
            Ok((socket, peer)) => {
                let place = match &crowd {
                    None => None,
                    Some(crowd) => match crowd.enter(&peer) {
                        Some(place) => Some(place),
                        None => continue, // closes the socket
                    },
                };
                let (core, seat) = cores.seat();
                let Ok(socket) = (if core.here { Ok(socket.stay()) } else { socket.leave() }) else { continue };
                let (house, pulse, service) = (Arc::clone(&house), watch.pulse(), make(&peer));
                let served = async move {
                    if let Ok(socket) = socket.arrive() {
                        house.look_after(socket, pulse, service).await;
                    }
                    drop((room, place, seat));
                };
                open.spawn_on(served, &core.runtime);
            }
            Err(error) if belongs_to_one_client(&error) => {}
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "cannot accept connections");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }

    drop(listener);
    open.close();
    watch.order_all(Order::Finish);
    let mut late = pin!(tokio::time::sleep(drain.finish()));
    loop {
        tokio::select! {
            () = open.wait() => return Drained { cut: 0 },
            () = watch.round() => {}
            () = late.as_mut() => break,
        }
    }
    let late = open.len();
    watch.order_all(Order::Cut);
    open.wait().await;
    Drained { cut: late }
}

/// The client left between connecting and being accepted.
fn belongs_to_one_client(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}
