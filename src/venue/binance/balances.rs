//! Balances as `account.status` lists them.

use crate::event::{BalanceUpdate, Body};
use crate::types::InstrumentTable;
use crate::venue::Malformed;
use crate::venue::binance::fields::Fields;

/// Gives out the balances of the table's assets; others do not concern the session.
pub(super) fn read_balances(
    account: &Fields<'_>,
    table: &InstrumentTable,
    out: &mut impl FnMut(Body),
) -> Result<(), Malformed> {
    let venue_ns =
        if account.value.get("updateTime").is_some() { account.time_ns("updateTime")? } else { 0 };
    for balance in account.array("balances")?.items() {
        let fields = Fields::new("balance", balance);
        if let Some(asset) = table.asset(fields.str("asset")?.as_bytes()) {
            let (free, locked) = (fields.qty("free")?, fields.qty("locked")?);
            out(Body::Balance(BalanceUpdate { asset, free, locked, venue_ns }));
        }
    }
    Ok(())
}
