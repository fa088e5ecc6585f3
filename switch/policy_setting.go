package switching

import (
	"slices"
)

// PolicySetting is one thing that a policy decides.
type PolicySetting struct {
	Name    string `json:"name"`
	Values  string `json:"values"`  // what it takes, for people
	Meaning string `json:"meaning"` // a phrase
	// Optional: none is a value, and means no limit.
	Optional bool `json:"optional"`

	column string // type of the column
}

// PolicySettings lists what can be set, in the order for people.
func PolicySettings() []PolicySetting { return slices.Clone(policySettings) }

func policySetting(name string) *PolicySetting {
	i := slices.IndexFunc(policySettings, func(s PolicySetting) bool { return s.Name == name })
	if i < 0 {
		return nil
	}
	return &policySettings[i]
}

// Values that several settings take.
const (
	yesOrNo     = "true or false"
	minorOrNone = "minor units of the merchant's currency, or none"
	cardValues  = "allow, review or decline"
)

var policySettings = []PolicySetting{
	{"cancel_mode", "auto, strict or cancel-only", "who chooses between void and refund", false, "text"},
	{"max_amount_minor", minorOrNone, "most that one transaction may be", true, "bigint"},
	{"max_cashback_minor", minorOrNone, "most that is paid out in cash with a sale", true, "bigint"},
	{"completion_percent", "100 to 200", "most that a completion may take of its authorization", false, "smallint"},
	{"hold_days", "1 to 400", "how long an authorization reserves", false, "smallint"},
	{"allow_authorization", yesOrNo, "authorizations are taken", false, "boolean"},
	{"allow_cashback", yesOrNo, "cashback is taken", false, "boolean"},
	{"allow_offline_advice", yesOrNo, "offline advices are taken", false, "boolean"},
	{"allow_void", yesOrNo, "voids are permitted", false, "boolean"},
	{"void_window_minutes", "minutes, 1 or more, or none", "how long after a transaction it may be voided", true, "integer"},
	{"max_voids_per_day", "0 or more, or none", "voids of one terminal in a business date", true, "integer"},
	{"max_void_minor_per_day", minorOrNone, "sum of one terminal's voids in a business date", true, "bigint"},
	{"allow_refund", yesOrNo, "refunds are permitted", false, "boolean"},
	{"refund_window_days", "1 to 3650", "how long after a transaction it may be refunded", false, "smallint"},
	{"max_refunds", "1 to 1000", "refunds of one transaction", false, "smallint"},
	{"reversal_window_days", "1 to 3650", "how long after a transaction its reversal is posted; later, a person decides", false, "smallint"},
	{"review_threshold_minor", minorOrNone, "a refund over it is left to a person", true, "bigint"},
	{"allow_unreferenced_refund", yesOrNo, "refunds without an original are taken, and reviewed", false, "boolean"},
	{"max_unreferenced_minor", minorOrNone, "most that a refund without an original may be", true, "bigint"},
	{"min_balance_minor", minorOrNone, "what a refund has to leave of what the merchant is owed", true, "bigint"},
	{"require_operator", yesOrNo, "voids and refunds need an operator signed on", false, "boolean"},
	{"supervisor_for_void", yesOrNo, "voids need a supervisor signed on", false, "boolean"},
	{"supervisor_for_refund", yesOrNo, "refunds need a supervisor signed on", false, "boolean"},
	{"refund_to_lost", cardValues, "refunds to lost or stolen cards", false, "text"},
	{"refund_to_frozen", cardValues, "refunds to frozen or blocked cards", false, "text"},
	{"refund_to_closed", cardValues, "refunds to closed cards", false, "text"},
	{"settled_by_batch", yesOrNo, "a transaction is settled when its batch is closed", false, "boolean"},
	{"auto_close_batch", yesOrNo, "batches are closed by the host at the cutoff", false, "boolean"},
}
