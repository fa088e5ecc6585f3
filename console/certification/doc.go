// Package certification is a checklist of what an integrator's terminal has to
// show before it may go live. It ticks itself: every case is proved by what the host
// has stored of the terminal, or by what it saw pass.
//
//	transactions, batches, keys, audit log ──▶ Examine ──▶ Checklist ──▶ page, Markdown, JSON
//	answers as they leave ──▶ Witness ────────────▲
//
// Invariants:
//
//   - A case is passed on evidence alone, which stands beside it: an RRN, a batch,
//     or when it was seen. What the host cannot know, such as why a terminal
//     reversed, the case does not claim.
//   - One examination reads a bounded number of rows.
//   - What is not stored (sign-ons, repeats) is seen by a witness that keeps a few
//     bytes for each terminal that is known, and nothing of what messages said.
package certification
