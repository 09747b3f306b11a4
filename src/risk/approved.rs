//! The claim "risk has approved this" as a type: only this room can make one, so that no other path to the gateway exists.

use crate::event::Order;

/// Something that risk approved. The field is private and the only constructor is this room's, so whoever holds one knows
/// that the checks have passed and that the decision is on its way to the journal.
///
/// ```compile_fail,E0451
/// // Nobody else can make one ...
/// let order: interlock::event::Order = panic!("the types alone must refuse this");
/// let forged = interlock::risk::Approved { inner: order };
/// ```
/// ```compile_fail,E0624
/// // ... nor call the constructor.
/// let order: interlock::event::Order = panic!("the types alone must refuse this");
/// let forged = interlock::risk::Approved::new(order);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Approved<T> {
    inner: T,
}

impl<T> Approved<T> {
    /// What was approved.
    pub const fn get(&self) -> &T {
        &self.inner
    }
}

impl Approved<Order> {
    pub(super) const fn new(order: Order) -> Self {
        Self { inner: order }
    }
}
