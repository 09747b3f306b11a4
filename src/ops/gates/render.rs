//! The gates as people see them.

use std::fmt::Write as _;

use comfy_table::{Cell, Table, presets};

use super::Assessment;

impl Assessment {
    /// A table of all gates; the remedies of the closed ones below.
    pub fn render(&self) -> String {
        let mut table = Table::new();
        table.load_style(presets::NOTHING).set_header(["", "gate", "row", "found"]);
        for (at, line) in self.lines.iter().enumerate() {
            let (mark, text) = match &line.finding {
                Ok(text) => ("open", text),
                Err(text) => ("CLOSED", text),
            };
            table.add_row(vec![
                Cell::new(mark),
                Cell::new(format!("{:>2} {}", at + 1, line.gate.name)),
                Cell::new(line.gate.requirement),
                Cell::new(text),
            ]);
        }
        let mut out = table.to_string();
        let missing: Vec<_> = self.missing().collect();
        if missing.is_empty() {
            out += "\n\nall gates are open";
        } else {
            let _written = write!(out, "\n\n{} of {} gates are closed:", missing.len(), self.lines.len());
            for line in missing {
                let _written = write!(out, "\n  {}: {}", line.gate.name, line.gate.remedy);
            }
        }
        out
    }
}
