package ledger

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
)

// Finding is a row that the verification found to be off.
type Finding struct {
	Check   string `json:"check"`
	Subject string `json:"subject"`
	Detail  string `json:"detail"`
}

// FindingsPerCheck bounds what one check reports: a broken ledger is told by its
// first rows, and a million of them help nobody.
const FindingsPerCheck = 100

// Check is one verification: SQL that returns subject and detail of every row
// that is off.
type Check struct {
	Name string
	SQL  string
}

// RunChecks runs checks in one snapshot and gathers what they find.
func RunChecks(ctx context.Context, tx Querier, checks []Check) ([]Finding, error) {
	var all []Finding
	for _, c := range checks {
		rows, err := tx.Query(ctx, c.SQL+fmt.Sprintf(" LIMIT %d", FindingsPerCheck))
		if err != nil {
			return nil, fmt.Errorf("check %s: %w", c.Name, err)
		}
		found, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (Finding, error) {
			f := Finding{Check: c.Name}
			err := row.Scan(&f.Subject, &f.Detail)
			return f, err //nolint:wrapcheck // wrapped below
		})
		if err != nil {
			return nil, fmt.Errorf("check %s: %w", c.Name, err)
		}
		all = append(all, found...)
	}
	return all, nil
}

// Checks recompute from transfers what the ledger keeps or promises. Several of
// them may find one fault, and each has something to say that the others do not;
// which ones find what is a test of package switching
// (TestEachCheckFindsItsFault):
//
//   - The trial balance says how much money of a currency was made up or lost,
//     wherever that is. It cannot see what makes up for itself, nor name an
//     account.
//   - The accounts' checks name them: each kept balance and hold is held against
//     its own transfers, an account against who owns it, and a transfer that no
//     transaction causes against what it may be.
//   - Those of what was carried forward stand in for transfers that have left:
//     its seal shows a change, the statements of then show what is wrong.
//   - Those of statements add up a closed date's transfers again, one figure after
//     the other, and each statement from the one before. They see what changes a
//     sum, and who it was told to.
//   - Those of seals see what changes none: that a transfer of a closed date has
//     other contents than when it was closed, and that dates close in their order.
//
// Those of package switching hold each transaction against its transfers.
func Checks() []Check {
	return slices.Concat(accountChecks(), loadChecks(), carriedChecks(), SettlementChecks())
}

func accountChecks() []Check {
	return []Check{
		{"accounts are in the chart", fmt.Sprintf(`
			WITH used AS (
				SELECT DISTINCT debit_account AS account FROM transfers UNION SELECT DISTINCT credit_account FROM transfers
				UNION SELECT account FROM carried_positions)
			SELECT 'account ' || account, 'role ' || (account >> %[1]d) || ' with this owner is not known'
			FROM used
			WHERE (account >> %[1]d) NOT IN (%[2]s)
				OR (account >> %[1]d) IN (%[3]s)
					AND NOT EXISTS (SELECT FROM merchants m WHERE m.merchant_id = (account & %[4]d))
				OR (account >> %[1]d) = %[5]d
					AND NOT EXISTS (SELECT FROM card_accounts c WHERE c.card_id = (account & %[4]d))`,
			ownerBits, allRoles(), roleList(merchantRoles), int64(1)<<ownerBits-1, RoleCard)},
		{"card balances equal the replay", fmt.Sprintf(`
			WITH legs AS (
				SELECT debit_account AS account, currency,
					CASE WHEN phase IN (1, 3) THEN -amount_minor ELSE 0 END AS balance,
					CASE phase WHEN 2 THEN amount_minor WHEN 1 THEN 0 ELSE -amount_minor END AS held
				FROM transfers WHERE (debit_account >> %[1]d) = %[2]d
				UNION ALL
				SELECT credit_account, currency,
					CASE WHEN phase IN (1, 3) THEN amount_minor ELSE 0 END,
					CASE phase WHEN 2 THEN -amount_minor WHEN 1 THEN 0 ELSE amount_minor END
				FROM transfers WHERE (credit_account >> %[1]d) = %[2]d
				UNION ALL
				SELECT account, currency, credits_posted_minor - debits_posted_minor, debits_pending_minor - credits_pending_minor
				FROM carried_positions WHERE (account >> %[1]d) = %[2]d),
			replay AS (
				SELECT account & %[3]d AS card_id, sum(balance) AS balance, sum(held) AS held, min(currency) AS low, max(currency) AS high
				FROM legs GROUP BY 1)
			SELECT 'card ' || c.card_id || ' ' || c.pan_masked,
				'balance ' || c.balance_minor || ', replay ' || coalesce(r.balance, 0) ||
				'; held ' || c.held_minor || ', replay ' || coalesce(r.held, 0)
			FROM card_accounts c LEFT JOIN replay r USING (card_id)
			WHERE c.balance_minor <> coalesce(r.balance, 0) OR c.held_minor <> coalesce(r.held, 0)
				OR r.low <> c.currency OR r.high <> c.currency`,
			ownerBits, RoleCard, int64(1)<<ownerBits-1)},
		{"trial balance", `
			SELECT 'currency ' || currency, 'debits less credits: ' || posted || ', pending: ' || pending
			FROM (` + trialBalanceSQL() + `) sums WHERE posted <> 0 OR pending <> 0`},
		{"holds equal their pending transfers", fmt.Sprintf(`
			WITH replay AS (
				SELECT bucket, hold_id, sum(CASE phase WHEN 2 THEN amount_minor ELSE -amount_minor END) AS minor,
					min(debit_account) AS card, max(debit_account) AS other_card, min(credit_account) AS merchant, max(credit_account) AS other_merchant,
					min(currency) AS low, max(currency) AS high, bool_or(kind = %[1]d) AS expired
				FROM transfers WHERE phase > 1 GROUP BY bucket, hold_id)
			SELECT 'hold ' || coalesce(h.hold_id, r.hold_id),
				'state ' || coalesce(h.state::text, 'missing') || ', reserves ' || coalesce(h.amount_minor::text, 'nothing') ||
				' of card ' || coalesce(h.card_id::text, 'none') || ' for merchant ' || coalesce(h.merchant_id::text, 'none') ||
				', pending transfers leave ' || coalesce(r.minor, 0) ||
				' between ' || coalesce(r.card::text, 'none') || ' and ' || coalesce(r.merchant::text, 'none')
			FROM holds h FULL JOIN replay r USING (bucket, hold_id)
			WHERE (h.business_date >= %[6]s OR h.business_date IS NULL) -- what reserves may be of a month that was retired
				AND (coalesce(r.minor, 0) <> CASE WHEN h.state = 1 THEN h.amount_minor ELSE 0 END
				OR (r.card, r.other_card) IS DISTINCT FROM (%[2]d::bigint << %[4]d | h.card_id, %[2]d::bigint << %[4]d | h.card_id)
				OR (r.merchant, r.other_merchant) IS DISTINCT FROM (%[3]d::bigint << %[4]d | h.merchant_id, %[3]d::bigint << %[4]d | h.merchant_id)
				OR (r.low, r.high) IS DISTINCT FROM (h.currency, h.currency)
				OR r.expired AND h.state <> %[5]d)`, KindExpiry, RoleCard, RoleMerchantPending, ownerBits, HoldExpired, KeptFromSQL)},
		{"what no transaction moves is a load or a hold that ran out", fmt.Sprintf(`
			SELECT 'journal ' || journal_id, 'kind ' || kind || ' moves ' || debit_account || ' to ' || credit_account || ' in phase ' || phase
			FROM transfers
			WHERE kind = %[1]d AND (phase <> %[2]d OR (debit_account >> %[3]d) <> %[4]d OR (credit_account >> %[3]d) <> %[5]d)
				OR kind = %[6]d AND phase <> %[7]d`,
			KindLoad, Posted, ownerBits, RoleBankSettlement, RoleCard, KindExpiry, VoidPending)},
		{"business dates exist", `
			SELECT 'business date ' || t.business_date, 'transfers in bucket ' || t.bucket || ' and no window'
			FROM (SELECT DISTINCT bucket, business_date FROM transfers) t
			WHERE NOT EXISTS (SELECT FROM windows w WHERE w.bucket = t.bucket AND w.business_date = t.business_date)`},
	}
}

// merchantRoles are owned by a merchant.
var merchantRoles = []Role{
	RoleMerchantReceivable, RoleMerchantPending, RoleMerchantPayable, RoleMerchantReserve, RolePayoutInFlight,
}

func roleList(roles []Role) string {
	var b []string
	for _, r := range roles {
		b = append(b, strconv.Itoa(int(r)))
	}
	return strings.Join(b, ", ")
}

func allRoles() string {
	var roles []Role
	for _, r := range chart {
		roles = append(roles, r.role)
	}
	return roleList(roles)
}
