// Package migrations holds the schema as numbered SQL files and applies them.
//
//	Up(ctx, url)  ->  service role exists  ->  goose runs what is missing
//
// Invariants:
//
//   - Expand, then contract: the previous version's binary keeps working on the
//     schema that this version's migrations leave behind.
//   - Everything that belongs to a merchant has bucket as the first column of
//     every primary, unique and foreign key, so that the same schema can be
//     spread over machines.
//   - What is true of one column is the column's domain; CHECKs of a table are for
//     what is true of several. Postgres reads a table's CHECKs for every statement.
//   - No triggers, no sequences inside insert-selects, no LISTEN/NOTIFY.
//   - What is immutable is immutable by privilege: the service's role has no
//     UPDATE or DELETE on transfers and no TRUNCATE on anything.
package migrations
