//! The records of a lap other than the frames of its car, from the archive.

use boxbox_schemas::TenantId;
use boxbox_schemas::record::{Content, Record};
use boxbox_schemas::results::{Lap, Span};

use crate::app::App;
use crate::problem::Problem;

/// Records read at once: with many cars they have 3 kB each.
const AT_ONCE: u32 = 500;
/// Records of a lap at most: of 10 minutes, at seven a second.
const RECORDS_MAX: usize = 4_500;

/// Give the content of each record of the lap, in order, to `each`. One that cannot be read is left out.
pub(crate) async fn each(app: &App, tenant: &TenantId, lap: &Lap, mut each: impl FnMut(Content<'_>)) -> Result<(), Problem> {
    let mut read = 0;
    for span in &lap.spans {
        let mut from = span.first_seq;
        loop {
            let found = app.stored(app.archive()?.records(tenant, &lap.session, &Span { first_seq: from, ..*span }, AT_ONCE).await)?;
            let Some(last) = found.last() else { break };
            from = last.first_seq + 1;
            read += found.len();
            if read > RECORDS_MAX {
                let why = format!("This lap has more than {RECORDS_MAX} records, the most that an answer is made from.");
                return Err(Problem::unprocessable("lap_too_long", why));
            }
            let whole = found.len() == AT_ONCE as usize;
            for record in found.into_iter().filter(|record| !record.is_heading()) {
                if let Ok(record) = Record::parse(record.bytes)
                    && let Ok(content) = record.content()
                {
                    each(content);
                }
            }
            if !whole {
                break;
            }
        }
    }
    Ok(())
}
