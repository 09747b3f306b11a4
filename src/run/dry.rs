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

    fn settle(&mut self, made: Encoded, now: Now) -> Encoded {
        self.inner.settle(made, now)
    }

    fn observe(&mut self, fact: &Fact, now: Now, out: &mut dyn FnMut(DoorEvent)) {
        self.inner.observe(fact, now, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Order, OrderSpec, SentKind};
    use crate::types::{ClientOrderId, InstrumentId, OrderType, Price, Qty, Side, StrategyId, TimeInForce};

    /// A door that counts what it is told to write.
    #[derive(Debug, Default)]
    struct Counting {
        written: usize,
    }

    impl Door for Counting {
        fn drive(&mut self, _now: Now, _may_read: bool, _out: &mut dyn FnMut(DoorEvent)) -> usize {
            0
        }
        fn is_ready(&self) -> bool {
            true
        }
        fn set_urgent(&mut self, _urgent: bool, _now: Now) {}
        fn pending(&self) -> usize {
            0
        }
        fn encode(&mut self, _request: &Request, _venue_ns: i64) -> Result<Encoded, Reason> {
            Ok(Encoded { kind: SentKind::Place, timestamp_ms: 0, text_len: 0, text_crc: 0 })
        }
        fn write(&mut self, _now: Now) -> Result<(), Reason> {
            self.written += 1;
            Ok(())
        }
        fn observe(&mut self, _fact: &Fact, _now: Now, _out: &mut dyn FnMut(DoorEvent)) {}
    }

    fn order(action: Action) -> Request {
        Request::Order(Order {
            client: ClientOrderId(1),
            cause_seq: 1,
            cause_ns: 1,
            strategy: StrategyId(0),
            instrument: InstrumentId(0),
            reduce_only: false,
            action,
        })
    }

    #[test]
    fn r_mode_1_a_dry_door_hands_over_no_order_even_when_it_is_told_to() {
        let spec = OrderSpec {
            side: Side::Buy,
            order_type: OrderType::Limit,
            time_in_force: TimeInForce::Gtc,
            price: Price::ONE,
            qty: Qty::ONE,
        };
        let target = ClientOrderId(1);
        let on = (target, InstrumentId(0));
        let may_leave = [
            (order(Action::Place(spec)), false),
            (order(Action::Replace { target, spec }), false),
            (order(Action::Cancel { target }), true),
            (order(Action::CancelAll), true),
            (Request::Cancel { client: on.0, instrument: on.1 }, true),
            (Request::CancelAll(on.1), true),
            (Request::OrderStatus { client: on.0, instrument: on.1 }, true),
            (Request::OpenOrders, true),
            (Request::Account, true),
        ];
        let now = Now { ns: 1, mono_ns: 1 };
        let mut door = DryDoor::over(Counting::default());
        assert_eq!(door.write(now), Err(Reason::LineFull), "nothing was encoded yet");
        for (request, leaves) in may_leave {
            let before = door.inner.written;
            door.encode(&request, 0).expect("it is encoded all the same");
            assert_eq!(door.write(now).is_ok(), leaves, "{request:?}");
            assert_eq!(door.inner.written - before, usize::from(leaves), "{request:?}");
        }
    }
}
