//! The dry run's door: everything up to the write, and no write of an order. The gateway of a dry run stops before the write by
//! itself; this door is the second lock, which does not depend on the gateway's figures: it forgets an order's bytes as soon as
//! they are encoded.
//!
//! Questions to the venue leave, and so do the cancels of a halt, which a dry run may need as any other session: a kill is never
//! blocked, and it never adds risk.

use crate::event::{Action, Fact};
use crate::gateway::{Door, DoorEvent, Encoded, Request};
use crate::types::{Now, Reason};

/// A door that hands over no order.
#[derive(Debug)]
pub struct DryDoor<D> {
    inner: D,
    /// What was encoded last was an order.
    holds_order: bool,
}

impl<D> DryDoor<D> {
    /// Over a real door.
    pub const fn over(inner: D) -> Self {
        Self { inner, holds_order: true }
    }
}

impl<D: Door> Door for DryDoor<D> {
    fn drive(&mut self, now: Now, may_read: bool, out: &mut dyn FnMut(DoorEvent)) -> usize {
        self.inner.drive(now, may_read, out)
    }

    fn is_ready(&self) -> bool {
        self.inner.is_ready()
    }

    fn set_urgent(&mut self, urgent: bool, now: Now) {
        self.inner.set_urgent(urgent, now);
    }

    fn pending(&self) -> usize {
        self.inner.pending()
    }

    fn encode(&mut self, request: &Request, venue_ns: i64) -> Result<Encoded, Reason> {
        self.holds_order = match request {
            Request::Order(order) => matches!(order.action, Action::Place(_) | Action::Replace { .. }),
            Request::Cancel { .. }
            | Request::CancelAll(_)
            | Request::OrderStatus { .. }
            | Request::OpenOrders
            | Request::Account => false,
        };
        self.inner.encode(request, venue_ns)
    }

    fn write(&mut self, now: Now) -> Result<(), Reason> {
        if self.holds_order {
            // "Nothing was taken": true, and the gateway withholds the order for it.
            return Err(Reason::LineFull);
        }
        self.inner.write(now)
    }

    fn observe(&mut self, fact: &Fact, now: Now, out: &mut dyn FnMut(DoorEvent)) {
        self.inner.observe(fact, now, out);
    }
}
