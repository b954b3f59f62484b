//! Rows on their way into a table by COPY, in the binary format that the manual of PostgreSQL describes under COPY.

use sqlx::encode::{Encode, IsNull};
use sqlx::postgres::PgArgumentBuffer;
use sqlx::{PgConnection, Postgres};

/// What every file of the format begins with: its name, no flags, no extension.
const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";

/// What it ends with.
const TRAILER: i16 = -1;

/// Rows of one table.
pub(super) struct Rows {
    buffer: PgArgumentBuffer,
    row_count: u64,
}

impl Rows {
    /// Starts without rows.
    pub(super) fn new() -> Rows {
        let mut buffer = PgArgumentBuffer::default();
        buffer.extend_from_slice(HEADER);
        Rows { buffer, row_count: 0 }
    }

    /// Begins a row of so many fields; they follow in the order of the columns.
    pub(super) fn begin(&mut self, field_count: i16) {
        self.row_count += 1;
        self.buffer.extend_from_slice(&field_count.to_be_bytes());
    }

    /// Adds a field to the row. Its type must be that of the column: nothing is converted on the way.
    pub(super) fn field<'value, Value: Encode<'value, Postgres>>(&mut self, value: Value) -> Result<(), sqlx::Error> {
        let start = self.buffer.len();
        self.buffer.extend_from_slice(&(-1i32).to_be_bytes());
        if let IsNull::No = value.encode(&mut self.buffer).map_err(sqlx::Error::Encode)? {
            let length = (self.buffer.len() - start - size_of::<i32>()) as i32;
            self.buffer[start..start + size_of::<i32>()].copy_from_slice(&length.to_be_bytes());
        }
        Ok(())
    }

    /// Sends the rows to `copy ... from stdin (format binary)`.
    pub(super) async fn send(mut self, connection: &mut PgConnection, statement: &str) -> Result<(), sqlx::Error> {
        if self.row_count == 0 {
            return Ok(());
        }
        self.buffer.extend_from_slice(&TRAILER.to_be_bytes());
        let mut copy = connection.copy_in_raw(statement).await?;
        if let Err(problem) = copy.send(&self.buffer[..]).await {
            copy.abort("the rows could not be sent").await?;
            return Err(problem);
        }
        copy.finish().await?;
        Ok(())
    }
}
