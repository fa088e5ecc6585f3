package ledger

import (
	"fmt"
	"slices"
	"strings"
)

// AccountID is an account: its role in the chart and its owner in one number
// (8 bits and 48 bits), so that naming an account needs no look-up. An account
// has one balance per currency.
type AccountID int64

// Role is a line of the chart of accounts.
type Role uint8

// The chart. A cardholder's money with us is a liability, as is a merchant's.
const (
	RoleBankSettlement     Role = 1  // A: the settlement bank account
	RoleSchemeReceivable   Role = 2  // A: owed to us by a network; owner is the network
	RoleMerchantReceivable Role = 3  // A: a merchant's negative balance
	RoleDisputes           Role = 4  // A: charged back and contested; owner is the network
	RoleCard               Role = 16 // L: an on-us card's account
	RoleMerchantPending    Role = 17 // L: captured, business date still open
	RoleMerchantPayable    Role = 18 // L: cutoff done, owed to the merchant
	RoleMerchantReserve    Role = 19 // L: held back
	RolePayoutInFlight     Role = 20 // L: sent to the bank, not confirmed
	RoleSchemeFeesPayable  Role = 21 // L: owed to a network
	RoleSuspense           Role = 22 // L: differences found in reconciliation
	RoleDiscountRevenue    Role = 32 // R: merchant discount
	RoleInterchange        Role = 48 // E
	RoleSchemeFee          Role = 49 // E
)

type roleInfo struct {
	role Role
	side Side
	// code has %d where the owner stands, if the role has owners.
	code string
}

// Side of the chart an account stands on: A, L, R or E.
type Side byte

// chart is in the order of a balance sheet.
var chart = [...]roleInfo{
	{RoleBankSettlement, 'A', "bank:settlement"},
	{RoleSchemeReceivable, 'A', "scheme:%d:receivable"},
	{RoleMerchantReceivable, 'A', "merchant:%d:receivable"},
	{RoleDisputes, 'A', "disputes:%d"},
	{RoleCard, 'L', "card:%d"},
	{RoleMerchantPending, 'L', "merchant:%d:pending"},
	{RoleMerchantPayable, 'L', "merchant:%d:payable"},
	{RoleMerchantReserve, 'L', "merchant:%d:reserve"},
	{RolePayoutInFlight, 'L', "merchant:%d:payout_in_flight"},
	{RoleSchemeFeesPayable, 'L', "scheme:%d:fees_payable"},
	{RoleSuspense, 'L', "suspense:recon"},
	{RoleDiscountRevenue, 'R', "revenue:mdr"},
	{RoleInterchange, 'E', "expense:interchange"},
	{RoleSchemeFee, 'E', "expense:scheme_fee"},
}

const ownerBits = 48

// Account returns the account of a role and its owner; owner is 0 for roles
// that have none, and must fit 48 bits.
func Account(role Role, owner int64) AccountID {
	return AccountID(int64(role)<<ownerBits | owner&(1<<ownerBits-1))
}

// Role of the account in the chart.
func (a AccountID) Role() Role { return Role(a >> ownerBits & 0xff) }

// Owner of the account: a merchant, a card or a network; 0 for none.
func (a AccountID) Owner() int64 { return int64(a) & (1<<ownerBits - 1) }

// OfMerchant tells whether the account's owner is a merchant.
func (a AccountID) OfMerchant() bool { return slices.Contains(merchantRoles, a.Role()) }

// Side the account stands on, or '?' if its role is not in the chart.
func (a AccountID) Side() Side {
	for _, r := range chart {
		if r.role == a.Role() {
			return r.side
		}
	}
	return '?'
}

// String is the account's code in the chart, such as merchant:7:pending.
func (a AccountID) String() string {
	for _, r := range chart {
		if r.role != a.Role() {
			continue
		}
		if strings.Contains(r.code, "%d") {
			return fmt.Sprintf(r.code, a.Owner())
		}
		return r.code
	}
	return fmt.Sprintf("unknown:%d:%d", a.Role(), a.Owner())
}
