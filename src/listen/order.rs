//! Orders to one connection: given by `watch`, heeded by `connection` whenever it is polled.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Waker};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Order {
    GoOn,
    /// Politely: what is in flight is answered, the client is told.
    Finish,
    Cut,
}

/// The latest order. A connection at work reads one atomic; the lock is for waking one that sleeps.
#[derive(Debug, Default)]
pub(super) struct Orders {
    given: AtomicU8,
    waker: Mutex<Option<Waker>>,
}

impl Orders {
    /// Never takes an order back.
    pub(super) fn give(&self, order: Order) {
        if self.given.fetch_max(order as u8, Ordering::AcqRel) < order as u8
            && let Some(waker) = &*self.waker.lock().unwrap_or_else(PoisonError::into_inner)
        {
            waker.wake_by_ref();
        }
    }

    pub(super) fn given(&self) -> Order {
        match self.given.load(Ordering::Acquire) {
            0 => Order::GoOn,
            1 => Order::Finish,
            _ => Order::Cut,
        }
    }

    fn wake(&self, waker: &Waker) {
        *self.waker.lock().unwrap_or_else(PoisonError::into_inner) = Some(waker.clone());
    }
}

/// Hears the orders for one task.
#[derive(Debug)]
pub(super) struct Ear<'o> {
    orders: &'o Orders,
    /// Whom the orders wake: nearly always the same, so it is told once.
    waker: Option<Waker>,
}

impl<'o> Ear<'o> {
    pub(super) fn to(orders: &'o Orders) -> Self {
        Self { orders, waker: None }
    }

    /// The latest order; a later one wakes this task.
    pub(super) fn hear(&mut self, cx: &Context<'_>) -> Order {
        if !self.waker.as_ref().is_some_and(|known| known.will_wake(cx.waker())) {
            self.orders.wake(cx.waker());
            self.waker = Some(cx.waker().clone());
        }
        self.orders.given()
    }
}
