package dialect

import (
	"maps"
	"slices"

	"meridian/host/wire"
	"meridian/switch"
)

// iso87Codes are the response codes (F39) of ISO 8583:1987 terminals.
var iso87Codes = map[switching.Reason]string{
	switching.Approved:               "00",
	switching.UnknownMerchant:        "03",
	switching.InvalidTransaction:     "12",
	switching.CurrencyMismatch:       "12",
	switching.ReversedBefore:         "12",
	switching.InvalidAmount:          "13",
	switching.InvalidCard:            "14",
	switching.CardMismatch:           "14",
	switching.NoSuchIssuer:           "15",
	switching.NoAction:               "21",
	switching.NotAllowedNow:          "22",
	switching.WrongTerminal:          "22",
	switching.OriginalNotFound:       "25",
	switching.FormatError:            "30",
	switching.FunctionNotSupported:   "40",
	switching.LostCard:               "41",
	switching.StolenCard:             "43",
	switching.InsufficientFunds:      "51",
	switching.ExpiredCard:            "54",
	switching.WrongExpiry:            "54",
	switching.NotPermittedToTerminal: "58",
	switching.TerminalInactive:       "58",
	switching.ExceedsAmountLimit:     "61",
	switching.RestrictedCard:         "62",
	switching.SecurityViolation:      "63",
	switching.AmountMismatch:         "64",
	switching.ExceedsCountLimit:      "65",
	switching.CutoffInProgress:       "90",
	switching.StoreUnavailable:       "91",
	switching.RepeatDiffers:          "94",
	switching.PaidBefore:             "94",
	switching.SystemMalfunction:      "96",
	switching.OperatorNotSignedOn:    "58",
	switching.OperatorNotAllowed:     "58",
	switching.WrongOperatorPassword:  "55",
	switching.OperatorLocked:         "75",
	switching.UnderReview:            "01",
	switching.ReviewRejected:         "05",
	switching.BatchOutOfBalance:      "95",
	switching.BatchInUpload:          "95",
	switching.UnknownBatch:           "95",
	switching.NotCurrentBatch:        "77",
	switching.IncorrectPIN:           "55",
	switching.PINTriesExceeded:       "75",
	switching.PINFormat:              "55",
	switching.PINMissing:             "55",
	switching.SignInRequired:         "77",
	switching.MACWrong:               "63",
	switching.TerminalLocked:         "58",
	switching.RateLimited:            "97",
	switching.UnknownTerminal:        "97",
	switching.TerminalNotOfMerchant:  "97",
	switching.ScenarioDecided:        "05", // where the scenario names no code
}

// answerCode is F39 of an answer.
func answerCode(r *switching.Response) string {
	if r.ScenarioAnswer != "" {
		return r.ScenarioAnswer
	}
	return codeOf(r.Reason)
}

// codeOf a reason; 96 for one that a newer host has stored.
func codeOf(r switching.Reason) string {
	if code, ok := iso87Codes[r]; ok {
		return code
	}
	return iso87Codes[switching.SystemMalfunction]
}

// ResponseCodes are the response codes (F39) of a dialect's table, in order: what
// its hosts answer, not only what this one does of itself.
func ResponseCodes(name string) []string {
	codes := map[string]bool{}
	for _, code := range iso87Codes {
		codes[code] = true
	}
	if name == wire.NameUnionPay {
		for code := range responseCodes {
			codes[code] = true
		}
	}
	return slices.Sorted(maps.Keys(codes))
}
